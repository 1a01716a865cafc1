package import ArgumentParser
import Dist
import Files
import Foundation
import Numerics
import Records
import Training

/// The program. Commands turn words into calls of the library and results into words; they compute nothing.
@main
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
    version: Version.text,
    subcommands: [
      TrainCommand.self, DistillCommand.self, EvaluateCommand.self, PredictCommand.self, ReportCommand.self,
      ReproduceCommand.self, SweepCommand.self, BenchCommand.self, PlanCommand.self, DoctorCommand.self,
      DataCommand.self,
    ],
    defaultSubcommand: TrainCommand.self)

  package init() {}

  package static func main() {
    let environment = ProcessInfo.processInfo.environment
    do {
      var command = try parseAsRoot(joiningNegativeNumbers(Array(CommandLine.arguments.dropFirst())))
      if let objection = ProcessorLevel.objection {
        if Ranks.rank(in: environment) == 0 { Console.error("moe-dist: \(objection)") }
        Program.end(ExitCode.usage.rawValue, environment)
      }
      try command.run()
    } catch {
      // Every rank parses the same words; rank 0 speaks for all.
      let code = exitCode(for: error)
      if Ranks.rank(in: environment) == 0 {
        if code == .success {
          print(fullMessage(for: error))
        } else if let words = foreignOption(in: message(for: error)) {
          Console.error("moe-dist: \(words)")
        } else {
          let words = message(for: error).split(separator: "\n").joined(separator: " ")
          Console.error(
            "moe-dist: \(words)\(words.hasSuffix(".") || words.hasSuffix("?") ? "" : ";") See 'moe-dist --help'."
          )
        }
      }
      Program.end(code.rawValue, environment)
    }
  }
}

extension MoEDist {
  /// The words of the command line with `--experts -1` as `--experts=-1`, so that it is refused as a number and not as an
  /// option without a value: no option is a number.
  package static func joiningNegativeNumbers(_ words: [String]) -> [String] {
    var joined: [String] = []
    for (index, word) in words.enumerated() {
      // What follows is no option, whatever it looks like.
      if word == "--" { return joined + words[index...] }
      let isNumber = word.first == "-" && word.dropFirst().first.map { $0.isNumber || $0 == "." } == true
      if isNumber, let option = joined.last, option.hasPrefix("--"), !option.contains("=") {
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
    let first = CommandLine.arguments.dropFirst().first ?? ""
    let command = commands.contains(first) ? first : "train"
    guard ["train", "distill", "bench", "plan"].contains(command),
      let hint = foreignNameHint(String(option.drop { $0 == "-" }), isOption: true)
    else { return nil }
    return "unknown option '\(option)'\(hint.text(as: .options))"
  }
}

/// How the process ends.
enum Program {
  static let identity = Dist.Program(
    name: "moe-dist", failureCode: ExitCode.internalError.rawValue, usageCode: ExitCode.usage.rawValue)

  /// Ends the process. Under a launcher the other ranks leave rank 0 the time to speak, because the first rank that ends
  /// with an error takes the job with it.
  static func end(_ code: Int32, _ environment: [String: String]) -> Never {
    if code != 0, Ranks.isLaunched(in: environment), Ranks.rank(in: environment) != 0 { usleep(700_000) }
    Foundation.exit(code)
  }

  /// Runs the body on every rank, see `Ranks.run`; settings that an error names are options of the command line here.
  static func run(_ environment: [String: String], _ body: (any Communicator) throws -> Int32) -> Int32 {
    Ranks.run(identity, environment: environment) { comm in
      do {
        return try body(comm)
      } catch {
        guard let failure = Failure(behind: error) else { throw error }
        let spelled = Failure(failure.code, Message(failure.words.text(as: .options)))
        if error is AgreedError { throw AgreedError(spelled) }
        throw spelled
      }
    }
  }

  /// Runs what can fail alike on every rank before MPI is entered; rank 0 says the failure.
  static func prepare<Value>(_ environment: [String: String], _ body: () throws -> Value) -> Value {
    do {
      return try body()
    } catch {
      let failure = error as? Failure ?? Failure(.internalError, "internal error: \(error)")
      if Ranks.rank(in: environment) == 0 { Console.error("moe-dist: \(failure.words.text(as: .options))") }
      end(failure.exitCode, environment)
    }
  }
}

/// Standard error and standard output.
enum Console {
  static func error(_ line: String) {
    FileHandle.standardError.write(Data((line + "\n").utf8))
  }

  static func output(_ text: String) {
    FileHandle.standardOutput.write(Data(text.utf8))
  }
}
