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
      valueName: "auto|PATH"))
  var resume: String?

  @Option(help: ArgumentHelp("Progress on standard error.", valueName: "WORD"))
  var progress: ProgressStyle = .auto

  @Flag(help: "Say nothing but warnings and errors.") var quiet = false
  @Flag(help: "Write the summary as JSON to standard output.") var json = false
  @Flag(help: "Write the resolved configuration as YAML to standard output and end.") var printConfig = false
  @Flag(help: "Write the plan (placement, parameters, memory and bytes per step) to standard output and end.")
  var dryRun = false
  @Flag(help: "Five steps of everything; nothing is kept.") var fastDevRun = false

  /// What is known before MPI is entered, the same on every rank.
  private struct Preparation {
    var configuration: Configuration
    var notes: [String]
    var resume: CheckpointFile?
    var data: DataSet
    var faults: FaultInjection?
  }

  /// Trains.
  ///
  /// - Parameter base: settings that lie below those of the user.
  func train(base: () throws -> [ConfigurationLayer]) throws {
    let environment = ProcessInfo.processInfo.environment
    let prepared = Program.prepare(environment) { try prepare(base: base(), environment) }
    if printConfig {
      if Ranks.rank(in: environment) == 0 { Console.output(prepared.configuration.yaml) }
      return
    }
    StopSignals.listen()
    let failed = FailurePlace()
    let code = Ranks.run(
      Program.identity, environment: environment,
      onFailure: { rank, error in failed.write(rank: rank, error: error) },
      { comm in try train(prepared, over: comm, environment, failed) })
    Program.end(code, environment)
  }

  // MARK: Before MPI

  private func prepare(base: [ConfigurationLayer], _ environment: [String: String]) throws -> Preparation {
    var layers = base
    layers += try files.layers
    layers.append(settings.layer)
    var notes: [String] = []
    let checkpoint = try resumedCheckpoint(&notes, layers)
    var resolved: ResolvedConfiguration
    if let checkpoint {
      let stored = try Evaluator.configuration(of: checkpoint.path)
      let directory = (checkpoint.path as NSString).deletingLastPathComponent
      let earlier = try RunDirectory.settings(in: directory)
      resolved = try Configuration.resuming(
        from: stored, earlier: earlier, layers, checkpoint: (checkpoint.path as NSString).lastPathComponent)
      if resolved.configuration.runDirectory == nil { resolved.configuration.runDirectory = directory }
    } else {
      resolved = try Configuration.resolve(layers)
    }
    var configuration = resolved.configuration
    // The file, not the directory, which may have a newer one when config.yaml is used again.
    configuration.initFrom = try configuration.initFrom.map(CheckpointDirectory.file(at:))
    if fastDevRun {
      configuration.maxSteps = 5
      configuration.epochs = max(configuration.epochs, 1)
    }
    // A wrong placement is found before anything is made for the run.
    _ = try ExpertPlacement(
      configuration.placement, experts: configuration.modelExperts, ranks: Ranks.count(in: environment),
      load: PlacementLoad(
        gateForward: 0, gateBackward: 0, expertForward: 1, expertBackward: 0, overlaps: true))
    let (data, actual, dataNotes) = try loadData(configuration, resolved, layers, environment)
    if checkpoint != nil { try actual.checkScale(resolved.given["similarity-scale"], against: data) }
    let faults = try environment["MOE_DIST_FAULT"].map { try FaultInjection($0) }
    return Preparation(
      configuration: actual, notes: notes + resolved.notes + dataNotes, resume: checkpoint, data: data,
      faults: faults)
  }

  private func resumedCheckpoint(_ notes: inout [String], _ layers: [ConfigurationLayer]) throws
    -> CheckpointFile?
  {
    guard let resume else { return nil }
    guard resume == "auto" else {
      let file = try CheckpointFile(path: resume)
      notes += try [RunDirectory.interruption(of: (resume as NSString).deletingLastPathComponent)].compactMap
      { $0 }
      return file
    }
    let given = layers.flatMap(\.entries).last { $0.key == "run-dir" }
    guard let directory = given?.text else {
      throw Failure(.usage, "--resume auto continues the run in --run-dir, which was not given")
    }
    guard RunDirectory.exists(directory) else { return nil }
    var warnings: [String] = []
    let file = try CheckpointDirectory(directory).newestValid { warnings.append($0) }
    notes += warnings
    if let interruption = try RunDirectory.interruption(of: directory) {
      let name = file.map { ($0.path as NSString).lastPathComponent }
      notes.append(
        interruption + (name.map { "; it goes on from \($0)" } ?? "; it has no checkpoint and begins again"))
    }
    return file
  }

  /// The data; where nobody chose a data set or a place for it and the default's files are not there, the built-in task.
  private func loadData(
    _ configuration: Configuration, _ resolved: ResolvedConfiguration, _ layers: [ConfigurationLayer],
    _ environment: [String: String]
  ) throws -> (DataSet, Configuration, [String]) {
    do {
      return (try DataLoading.load(configuration, environment), configuration, [])
    } catch let failure as Failure {
      guard failure.code == .notFound, resolved.given["dataset"] == nil, resolved.given["data-dir"] == nil,
        resume == nil
      else { throw failure }
      let synthetic = ConfigurationLayer(commandLine: [("dataset", "synthetic")])
      let other = try Configuration.resolve([synthetic] + layers).configuration
      let note =
        "NOTE: \(configuration.dataset) was not found, so this run trains the built-in task 'synthetic' instead. "
        + failure.message
      return (try DataLoading.load(other, environment), other, [note])
    }
  }

  // MARK: On every rank

  private func train(
    _ prepared: Preparation, over comm: any Communicator, _ environment: [String: String],
    _ failed: FailurePlace
  ) throws -> Int32 {
    var configuration = prepared.configuration
    let isRoot = comm.rank == 0
    var run: RunDirectory?
    var failure: Failure?
    let keeps = !fastDevRun && !dryRun
    if isRoot, keeps {
      do { run = try openDirectory(configuration, prepared) } catch let found as Failure { failure = found }
    }
    try comm.agree(failure)
    let path = try comm.broadcast(text: run?.path ?? "")
    let directory = keeps ? path : nil
    configuration.runDirectory = directory
    failed.host = comm.hostName
    let observer = ConsoleObserver(style: quiet ? .none : progress, quiet: quiet)
    if isRoot, !quiet {
      for note in prepared.notes { Console.error(note) }
      if configuration.products == .openblas, let advice = BLAS.kernelAdvice {
        Console.error("NOTE: \(advice)")
      }
    }
    let watchdog = Watchdog(
      limit: configuration.watchdog, place: "rank \(comm.rank) on host \(comm.hostName)",
      phases: Phase.allCases.map(\.rawValue), program: Program.identity.name,
      exitCode: ExitCode.stalled.rawValue,
      advice: "look for a rank that is stopped or a host that is lost, then continue with --resume auto"
    ) { [rank = comm.rank, host = comm.hostName] words in
      guard let directory else { return }
      RunDirectory.writeError(
        in: directory, rank: rank, host: host, code: ExitCode.stalled.rawValue, message: words)
      RunDirectory.writeFailure(in: directory, state: .stalled, reason: words)
    }
    defer { watchdog.stop() }
    let faults = prepared.faults
    let rank = comm.rank
    let trainer: Trainer
    do {
      trainer = try Trainer(
        configuration: configuration, data: prepared.data, communicator: comm, directory: directory, run: run,
        resume: prepared.resume?.path, observer: observer,
        forecast: MeasuredCosts.model(configuration, size: DataSetSize(prepared.data), over: comm)
      ) { phase, step in
        watchdog.tick(phase: Phase.allCases.firstIndex(of: phase) ?? 0, step: step)
        try faults?.strike(phase: phase, step: step, rank: rank)
      }
    } catch {
      if prepared.resume == nil { run?.discardIfEmpty() }
      throw error
    }
    failed.directory = directory
    if dryRun {
      if isRoot { Console.output(try trainer.plan().text) }
      return ExitCode.finished.rawValue
    }
    // Of every rank, where OpenBLAS computes.
    let kernels =
      configuration.products == .openblas ? try comm.allGather(text: BLAS.kernelName) : []
    let levels = try comm.allGather(text: ProcessorLevel.current.name)
    if isRoot { try begin(run, prepared, levels, kernels, trainer, comm, environment) }
    let summary = try trainer.train()
    if isRoot {
      Console.output(json ? summary.json.text(pretty: true) + "\n" : quiet ? "" : summary.text)
      if let directory, !quiet, !json {
        Console.error("repeat this run: moe-dist train --config \(directory)/config.yaml")
      }
      if let directory { ReportCommand.writeAtEnd(of: directory, quiet: quiet || json) }
    }
    return summary.state.exitCode.rawValue
  }

  private func openDirectory(_ configuration: Configuration, _ prepared: Preparation) throws -> RunDirectory {
    if let directory = configuration.runDirectory {
      let exists = RunDirectory.exists(directory)
      return exists && resume != nil ? try RunDirectory.reopen(directory) : try RunDirectory.create(directory)
    }
    let date = Date().formatted(.iso8601.year().month().day())
    let path = RunDirectory.freePath(
      dataset: configuration.dataset, gate: configuration.gate.rawValue, date: date)
    return try RunDirectory.create(path)
  }

  /// Writes what describes the run, on rank 0, and warns where ranks differ.
  private func begin(
    _ run: RunDirectory?, _ prepared: Preparation, _ levels: [String], _ kernels: [String],
    _ trainer: Trainer,
    _ comm: any Communicator, _ environment: [String: String]
  ) throws {
    if Set(kernels).count > 1 {
      Console.error(
        "NOTE: OpenBLAS uses different kernels on different ranks (\(kernels.joined(separator: ", "))); results then depend "
          + "on where experts live. Set OPENBLAS_CORETYPE to one of them on every host.")
    }
    guard let run else { return }
    if prepared.resume != nil { try run.truncateMetrics(toStep: trainer.currentPosition.step) }
    try run.write(configuration: trainer.configuration)
    let plan = try trainer.plan()
    try run.append(
      session: RunSession(
        started: Date().formatted(.iso8601), command: CommandLine.arguments,
        versions: ["moe-dist": Version.text, "openblas": BLAS.version, "mpi": Ranks.libraryVersion],
        buildFlags: Doctor.buildFlags, hosts: plan.ranks.map(\.host),
        threads: plan.threads, placement: trainer.owners, levels: levels,
        blasKernels: kernels,
        dataFingerprints: prepared.data.fingerprints,
        classNames: prepared.data.classNames, coarseClassNames: prepared.data.coarseNames ?? [],
        coarseClasses: prepared.data.coarseOfClass ?? [],
        resumedFrom: prepared.resume.map { ($0.path as NSString).lastPathComponent }, environment: environment
      ))
  }
}

/// Reads the data set that a configuration names.
enum DataLoading {
  static func options(_ configuration: Configuration, _ environment: [String: String]) -> DataOptions {
    var options = DataOptions(dataDirectory: configuration.dataDirectory, environment: environment)
    options.files[.trainImages] = configuration.trainImages
    options.files[.trainLabels] = configuration.trainLabels
    options.files[.testImages] = configuration.testImages
    options.files[.testLabels] = configuration.testLabels
    options.mean = configuration.mean
    options.standardDeviation = configuration.standardDeviation
    options.trainSamples = configuration.trainSamples
    options.testSamples = configuration.testSamples
    options.augment = configuration.augment
    return options
  }

  static func load(_ configuration: Configuration, _ environment: [String: String]) throws -> DataSet {
    try DataSetRegistry.source(named: configuration.dataset).load(options(configuration, environment))
  }
}

/// Where a rank's last words are kept: errors/ and status.json of the run directory.
final class FailurePlace {
  var directory: String?
  var host = ""

  func write(rank: Int, error: any Error) {
    guard let directory else { return }
    let known = error as? any ProcessError
    let code = known?.exitCode ?? ExitCode.internalError.rawValue
    let words =
      known?.description ?? (error as? CommunicationError)?.description ?? "internal error: \(error)"
    RunDirectory.writeError(in: directory, rank: rank, host: host, code: code, message: words)
    RunDirectory.writeFailure(
      in: directory, state: code == ExitCode.diverged.rawValue ? .diverged : .failed, reason: words)
  }
}
