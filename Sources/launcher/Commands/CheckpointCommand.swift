import ArgumentParser
import Dist
import Files
import Foundation
import Records
import Training

struct CheckpointCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "checkpoint",
    abstract: "Checkpoints: whether a run can go on from them, which there are, in what they differ.",
    subcommands: [VerifyCommand.self, ListCommand.self, DiffCommand.self])

  /// Needs no ranks and never enters MPI; under a launcher rank 0 does the work.
  private static func alone(_ body: () throws -> Int32) {
    let environment = ProcessInfo.processInfo.environment
    guard Ranks.rank(in: environment) == 0 else { return }
    let code = Program.prepare(environment, body)
    if code != 0 { Program.end(code, environment) }
  }

  struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "verify",
      abstract:
        "Reads checkpoints to the end, a line each: checksums, numbers, and what a resume asks of them.",
      discussion: "Exit code 65 where one is not valid, 66 where there is none.")

    @Argument(
      help: ArgumentHelp("Run directories, or checkpoints.", valueName: "RUN|FILE"), completion: .file())
    var paths: [String]

    func run() throws {
      CheckpointCommand.alone {
        let failure = try CheckpointVerdict.verify(paths) {
          Console.output($0.text.text(as: .options) + "\n")
        }
        guard let failure else { return 0 }
        Console.error("moe-dist: \(failure.words.text(as: .options))")
        return failure.exitCode
      }
    }
  }

  struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list",
      abstract: "The checkpoints of a run, a line each: epoch, step, size, validation error, latest, best.")

    @Argument(help: ArgumentHelp("The run directory.", valueName: "RUN"), completion: .directory)
    var path: String

    @Flag(help: "Write a JSON list to standard output.") var json = false

    func run() throws {
      CheckpointCommand.alone {
        let listing = try CheckpointListing(of: path)
        if let interruption = try RunDirectory.interruption(of: path) { Console.error(interruption) }
        Console.result(asJSON: json, listing.json, listing.text)
        return 0
      }
    }
  }

  struct DiffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "diff",
      abstract: "In what two checkpoints differ, or at which step, tensor and element two runs part.",
      discussion: """
        Of two runs, checkpoints of the same epoch and step are compared until two differ; train with --keep 0 to have \
        all of them. Beside a file a run means its newest checkpoint. Exit code 0 where all is equal, 1 where not.
        """)

    @Argument(
      help: ArgumentHelp("A run directory, or a checkpoint.", valueName: "RUN|FILE"), completion: .file())
    var first: String

    @Argument(help: ArgumentHelp("The one beside it.", valueName: "RUN|FILE"), completion: .file())
    var second: String

    @Flag(help: "Write what differs as JSON to standard output.") var json = false

    func run() throws {
      CheckpointCommand.alone {
        let comparison = try CheckpointComparison(first, second)
        Console.result(asJSON: json, comparison.json, comparison.text)
        return comparison.isEqual ? 0 : 1
      }
    }
  }
}
