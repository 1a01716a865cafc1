package import ArgumentParser
import Dist
import Files
import Foundation
import Numerics
package import Records
import Training

/// The program. Commands turn words into calls of the library and results into words; they compute nothing.
package struct MoEDist: ParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "moe-dist",
    abstract: "Trains mixtures of experts whose experts live on different MPI ranks.",
    discussion: """
      Alone the program is one rank; under 'mpirun -np N' it is N ranks, with the same results to the last bit.

      Exit codes: 0 finished, 64 usage or configuration, 65 bad data or checkpoint, 66 input not found, 70 internal \
      error, 73 run directory exists or cannot be made, 74 input/output error, 75 stopped early and resumable, \
      80 diverged, 81 stalled.
      """,
    version: BuildText.version,
    subcommands: [
      TrainCommand.self, LaunchCommand.self, DistillCommand.self, EvaluateCommand.self, PredictCommand.self,
      ShowCommand.self,
      ReportCommand.self, ReproduceCommand.self, SweepCommand.self, BenchCommand.self, PlanCommand.self,
      DoctorCommand.self, DataCommand.self, CheckpointCommand.self,
    ],
    defaultSubcommand: TrainCommand.self)

  package init() {}

  /// The whole program: both the signals and the watchdog begin with its first lines.
  ///
  /// - Parameter onStage: called on every rank of a training run when a stage begins, with the step and the rank, from the
  ///   first word that is read on; what it throws is an error of that rank. For tests of failure.
  package static func start(onStage: ((RunStage, Int, Int) throws -> Void)? = nil) -> Never {
    StopSignals.listen()
    let environment = ProcessInfo.processInfo.environment
    if let objection = Program.addressSpaceObjection(environment) {
      if Ranks.rank(in: environment) == 0 { Console.error("moe-dist: \(objection)") }
      // Without the ends of libraries: OpenBLAS would wait for its threads.
      _exit(ExitCode.usage.rawValue)
    }
    Program.begin(onStage)
    if let argument = argumentThatIsNoText {
      if Ranks.rank(in: environment) == 0 {
        Console.error(
          "moe-dist: argument \(argument) is not UTF-8: '\(CommandLine.arguments[argument])'; rename the file, or reach it by "
            + "a link with another name")
      }
      Program.end(ExitCode.usage.rawValue, environment)
    }
    if let objection = commandObjection(Array(CommandLine.arguments.dropFirst())) {
      if Ranks.rank(in: environment) == 0 { Console.error("moe-dist: \(withDirections(objection))") }
      Program.end(ExitCode.usage.rawValue, environment)
    }
    do {
      var command = try parseAsRoot(joiningNegativeNumbers(Array(CommandLine.arguments.dropFirst())))
      if let objection = ProcessorLevel.objection {
        if Ranks.rank(in: environment) == 0 { Console.error("moe-dist: \(objection)") }
        Program.end(ExitCode.usage.rawValue, environment)
      }
      if !trains(command) { StopSignals.endProcess() }
      try command.run()
      Program.end(0, environment)
    } catch {
      // Every rank parses the same words; rank 0 speaks for all.
      let code = exitCode(for: error)
      if Ranks.rank(in: environment) == 0 {
        if code == .success {
          Console.output(fullMessage(for: error) + "\n")
        } else if let words = foreignOption(in: message(for: error)) {
          Console.error("moe-dist: \(words)")
        } else {
          let words = message(for: error).split(separator: "\n").joined(separator: " ")
          Console.error("moe-dist: \(withDirections(words))")
        }
      }
      Program.end(code.rawValue, environment)
    }
  }
}

extension MoEDist {
  private static func withDirections(_ words: String) -> String {
    "\(words)\(words.hasSuffix(".") || words.hasSuffix("?") ? "" : ";") See 'moe-dist --help'."
  }

  /// The number of the first argument that is not UTF-8; nil where all are. Read as text it would name another file.
  private static var argumentThatIsNoText: Int? {
    CommandLine.arguments.indices.first { index in
      CommandLine.unsafeArgv[index].map { String(validatingCString: $0) == nil } ?? false
    }
  }

  /// Whether a command has something to save when it is asked to stop.
  private static func trains(_ command: any ParsableCommand) -> Bool {
    command is TrainCommand || command is DistillCommand || command is ReproduceCommand
      || command is SweepCommand || command is LaunchCommand
  }

  /// The words of the command line with `--experts -1` as `--experts=-1`, so that it is refused as a number and not as an
  /// option without a value: no option is a number.
  package static func joiningNegativeNumbers(_ words: [String]) -> [String] {
    func isNumber(_ word: String) -> Bool {
      word.first == "-" && word.dropFirst().first.map { $0.isNumber || $0 == "." } == true
    }
    var joined: [String] = []
    for (index, word) in words.enumerated() {
      // What follows is no option, whatever it looks like.
      if word == "--" { return joined + words[index...] }
      // `-np`, but not the short `-n`, to which the parser joins no value.
      if isNumber(word), let option = joined.last, option.hasPrefix("-"), option.count > 2,
        !option.contains("="), !isNumber(option)
      {
        joined[joined.count - 1] = "\(option)=\(word)"
      } else {
        joined.append(word)
      }
    }
    return joined
  }

  /// What to say instead of the parser where an unknown option is one that other trainers have; nil where it is none, and
  /// for commands that take no settings.
  ///
  /// - Parameter message: the parser's.
  private static func foreignOption(in message: String) -> String? {
    guard message.hasPrefix("Unknown option '") else { return nil }
    let option = message.split(separator: "'")[1]
    let commands = configuration.subcommands.compactMap { $0.configuration.commandName }
    var words = CommandLine.arguments.dropFirst()
    if words.first == "launch", let end = words.firstIndex(of: "--") { words = words[(end + 1)...] }
    let first = words.first ?? ""
    let command = commands.contains(first) ? first : "train"
    guard ["train", "distill", "bench", "plan"].contains(command),
      let hint = foreignNameHint(String(option.drop { $0 == "-" }), isOption: true)
    else { return nil }
    return "unknown option '\(option)'\(hint.text(as: .options))"
  }
}
