package import ArgumentParser
import DataSets
import Dist
import Files
import Foundation
import MoE
import Numerics
import Planning
import Records
import Training

package struct TrainCommand: ParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "train", abstract: "Train a model; alone or under mpirun, with the same results.",
    usage: """
      moe-dist train [<options>]
      mpirun -np 4 moe-dist train --dataset mnist --experts 8
      """)

  @OptionGroup var options: TrainOptions<TrainingDefaults>

  package init() {}

  package func run() throws { try options.train { [] } }
}

/// The options of a run of training, and the run itself.
struct TrainOptions<Defaults: SettingDefaults>: ParsableArguments {
  @OptionGroup var settings: SettingOptions<Defaults>

  @OptionGroup var files: ConfigurationFiles

  @Option(
    help: ArgumentHelp(
      "Continue a run: auto (the newest valid checkpoint of --run-dir, or start) or a checkpoint's path.",
      valueName: "auto|PATH"), completion: .list(["auto"]))
  var resume: String?

  @Option(help: ArgumentHelp("Progress on standard error.", valueName: "WORD"))
  var progress: ProgressStyle = .auto

  @Flag(help: "Say nothing but warnings and errors.") var quiet = false
  @Flag(
    help: "Say at the end also where the time went, and what every expert did of a run that saved nothing.")
  var verbose = false
  @Flag(help: "Write the summary as JSON to standard output.") var json = false
  @Flag(help: "Write the resolved configuration as YAML to standard output and end.") var printConfig = false
  @Flag(help: "Write the plan (placement, parameters, memory and bytes per step) to standard output and end.")
  var dryRun = false
  @Flag(help: "Five steps of everything; nothing is kept.") var fastDevRun = false

  /// Trains.
  ///
  /// - Parameter base: settings that lie below those of the user.
  func train(base: () throws -> [ConfigurationLayer]) throws {
    let environment = ProcessInfo.processInfo.environment
    let run = Program.prepare(environment) { try prepare(base: base(), environment) }
    if printConfig {
      if Ranks.rank(in: environment) == 0 { Console.data(run.configuration.yaml) }
      return
    }
    let alike =
      Program.alike(run.configuration, run.data) + [
        Alike("--resume", run.checkpointIdentity ?? ""), Alike("--dry-run", dryRun ? "yes" : ""),
        Alike("--fast-dev-run", fastDevRun ? "yes" : ""),
      ]
    let code = Program.run(
      "train", alike, environment, startLimit: run.configuration.startLimit
    ) { comm in
      try train(run, over: comm)
    }
    Program.end(code, environment)
  }

  // MARK: Before MPI

  private func prepare(base: [ConfigurationLayer], _ environment: [String: String]) throws -> TrainingRun {
    try Program.enter(.settings)
    let layers = try base + files.layers + [settings.layer]
    var run = try makeRun(layers, environment)
    run.spelling = .options
    if fastDevRun { run.limit(steps: 5) }
    if fastDevRun || dryRun {
      run.place = .nowhere
    } else if run.place == .nowhere {
      run.place = .free(in: "runs")
    }
    // A wrong placement is found before anything is made for the run.
    try run.checkPlacement(ranks: Ranks.count(in: environment))
    return run
  }

  /// The run; where nobody chose a data set or a place for it and the default's files are not there, one of the built-in
  /// task.
  private func makeRun(_ layers: [ConfigurationLayer], _ environment: [String: String]) throws -> TrainingRun
  {
    let origin = RunOrigin(buildFlags: BuildText.flags, environment: environment)
    let resuming = resume.map { $0 == "auto" ? TrainingRun.Resume.auto : .checkpoint($0) } ?? .never
    do {
      return try TrainingRun(layers, resume: resuming, origin: origin) { try Program.enter($0, step: $1) }
    } catch let failure as Failure {
      let chosen = layers.flatMap(\.entries).contains { ["dataset", "data-dir"].contains($0.key) }
      guard failure.code == .notFound, !chosen, resume == nil else { throw failure }
      let synthetic = ConfigurationLayer(commandLine: [("dataset", "synthetic")])
      var run = try TrainingRun([synthetic] + layers, origin: origin)
      run.notes.append(
        "NOTE: the default data set was not found, so this run trains the built-in task 'synthetic' instead. "
          + failure.words)
      return run
    }
  }

  // MARK: On every rank

  private func train(_ run: TrainingRun, over comm: any Communicator) throws -> Int32 {
    let isRoot = comm.rank == 0
    if isRoot { for warning in run.warnings { Console.error(warning.text(as: .options)) } }
    if isRoot, !quiet {
      for note in run.notes { Console.error(note.text(as: .options)) }
      if run.configuration.products == .openblas, let advice = BLAS.kernelAdvice {
        Console.error("NOTE: \(advice)")
      }
    }
    if dryRun {
      let plan = try run.plan(over: comm, forecast: MeasuredCosts.model)
      if isRoot { Console.output(plan.text) }
      return ExitCode.finished.rawValue
    }
    let summary = try run.train(
      over: comm, observer: ConsoleObserver(style: quiet ? .none : progress, quiet: quiet),
      watchdog: Program.watchdog, forecast: MeasuredCosts.model, onStage: Program.told)
    if isRoot {
      if json || !quiet {
        Console.result(asJSON: json, summary.json, summary.text(isVerbose: verbose))
      }
      if let directory = summary.runDirectory {
        if !quiet, !json {
          let start = comm.size > 1 ? "mpirun -np \(comm.size) moe-dist" : "moe-dist"
          Console.error("repeat this run: \(start) train --config \(directory)/config.yaml")
        }
        try Program.enter(.report, step: summary.status.step)
        ReportCommand.writeAtEnd(of: directory, quiet: quiet || json)
      }
    }
    return summary.state.exitCode.rawValue
  }
}
