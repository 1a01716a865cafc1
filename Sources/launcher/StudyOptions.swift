import ArgumentParser
import Dist
import Files
import Foundation
import Numerics
import Records
import Studies
import Training

/// The options that reproduce and sweep share.
struct StudyOptions: ParsableArguments {
  @Option(
    name: .customLong("set"),
    help: ArgumentHelp(
      "A setting of every run, as train knows it; repeatable. One that a method's grid would choose is fixed by it.",
      valueName: "key=value"))
  var settings: [String] = []

  @Option(
    help: ArgumentHelp("Where runs and results are kept. (default: studies/<name>)", valueName: "DIR"),
    completion: .directory)
  var out: String?

  @Option(help: ArgumentHelp("Where the data set's files are.", valueName: "DIR"), completion: .directory)
  var dataDir: String?

  @Option(
    help: ArgumentHelp(
      "Ranks that train a run together; the ranks are parted into groups of so many, and every group takes runs.",
      valueName: "R"))
  var ranksPerRun = 1

  @Option(help: ArgumentHelp("Progress on standard error.", valueName: "WORD"))
  var progress: ProgressStyle = .auto

  @Flag(help: "Say nothing but warnings and errors.") var quiet = false
  @Flag(help: "Write the results as JSON to standard output.") var json = false
  @Flag(help: "Write the runs and what they cost to standard output and end.") var dryRun = false

  /// What the user set for all runs.
  func overrides() throws -> [StudySetting] {
    var all = try settings.map { try StudySetting(parsing: $0, option: "set") }
    if let dataDir { all.append(StudySetting("data-dir", dataDir)) }
    return all
  }

  /// The words of the command line, the program by its name alone: results are shown to others.
  private static var command: [String] {
    [(CommandLine.arguments[0] as NSString).lastPathComponent] + CommandLine.arguments.dropFirst()
  }

  /// How many runs go side by side.
  private func lanes(ranks: Int) throws -> Int {
    guard ranksPerRun >= 1 else {
      throw Failure(.usage, "--ranks-per-run \(ranksPerRun) is not allowed: expected a whole number from 1")
    }
    guard ranks.isMultiple(of: ranksPerRun) else {
      throw Failure(
        .usage,
        "--ranks-per-run \(ranksPerRun) does not part \(ranks) rank\(ranks == 1 ? "" : "s") into groups of that size; "
          + "start a multiple of \(ranksPerRun) ranks")
    }
    return ranks / ranksPerRun
  }

  /// Runs a study on all ranks and writes its results on rank 0.
  func run(_ environment: [String: String], _ make: () throws -> Study) {
    let console = StudyConsole(
      style: quiet ? .none : progress, isRoot: Ranks.rank(in: environment) == 0)
    let (runner, directory) = Program.prepare(environment) {
      let lanes = try lanes(ranks: Ranks.count(in: environment))
      let study = try make()
      let directory = StudyDirectory(out ?? "studies/\(study.name)")
      var host = StudyHost(
        load: { try $0.loadData(environment) }, command: StudyOptions.command,
        versions: ["moe-dist": Version.text, "openblas": BLAS.version],
        buildFlags: BuildText.flags, environment: environment, lanes: lanes,
        stopRequested: { StopSignals.raised }, progress: { console.show($0) })
      host.spelling = .options
      return (try StudyRunner(study, in: directory, host: host), directory)
    }
    if dryRun {
      let text = Program.prepare(environment) { try runner.planText() }
      if Ranks.rank(in: environment) == 0 { Console.output(text) }
      return
    }
    let alike = [
      Alike("the study", (try? runner.planText()) ?? ""), Alike("--out", directory.path),
      Alike("--ranks-per-run", "\(ranksPerRun)"),
    ]
    let code = Program.run("a study", alike, environment) { comm in
      let group = ranksPerRun == 1 ? LocalCommunicator() : try comm.split(group: comm.rank / ranksPerRun)
      let isComplete = try runner.work(over: group)
      // A rank that was not asked to stop may have done what was left.
      let open = try comm.allReduceMax(isComplete ? 0 : 1)
      guard comm.rank == 0 else { return open == 0 ? 0 : ExitCode.stoppedEarly.rawValue }
      console.close()
      guard open == 0 else {
        Console.error("stopped; the same command continues in \(directory.path)")
        return ExitCode.stoppedEarly.rawValue
      }
      let results = try runner.results()
      try results.write(to: directory)
      if json || !quiet { Console.result(asJSON: json, results.json, results.markdown) }
      if !quiet, !json {
        Console.error("kept in \(directory.path): results.md, results.csv, results.json, runs/")
      }
      guard let failure = results.failure else { return 0 }
      Console.error("moe-dist: \(failure.words.text(as: .options))")
      return failure.exitCode
    }
    Program.end(code, environment)
  }
}

/// Tells the user on standard error how a study goes: one line that is drawn again on a terminal, lines elsewhere.
final class StudyConsole {
  private let isSilent: Bool
  private let line: DrawnLine

  init(style: ProgressStyle, isRoot: Bool) {
    isSilent = style == .none || !isRoot
    line = DrawnLine(isSilent ? .none : style)
  }

  func show(_ progress: StudyProgress) {
    guard !isSilent else { return }
    if line.isDrawn {
      line.draw { $0.text(progress) }
    } else {
      Console.error(ProgressLine.parts(progress).map(\.text).joined(separator: "; "))
    }
  }

  func close() { line.close() }
}
