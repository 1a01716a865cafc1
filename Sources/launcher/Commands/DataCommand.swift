import ArgumentParser
import DataSets
import Dist
import Files
import Foundation

struct DataCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "data", abstract: "Data sets: known names, where found, whether sound.",
    subcommands: [ListCommand.self, DataFetchCommand.self, VerifyCommand.self, ExportCommand.self])

  struct DirectoryOption: ParsableArguments {
    @Option(
      name: .customLong("data-dir"),
      help: ArgumentHelp("Where to look before the usual places.", valueName: "DIR"), completion: .directory)
    var directory: String?
  }

  /// Runs on rank 0 alone; data sets are no business of several ranks.
  static func alone(_ directory: String?, _ body: (DataOptions) throws -> Int32) {
    let environment = ProcessInfo.processInfo.environment
    guard Ranks.rank(in: environment) == 0 else { return }
    let code = Program.prepare(environment) {
      try body(DataOptions(dataDirectory: directory, environment: environment))
    }
    if code != 0 { Program.end(code, environment) }
  }

  struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "Known data sets, a line each: name, where found, what it is.")

    @OptionGroup var place: DirectoryOption

    func run() throws {
      DataCommand.alone(place.directory) { options in
        for source in DataSetRegistry.all where source.name != "idx" {
          let search = source.search(options)
          let found = search.map { $0.directory ?? "not found" } ?? "built in"
          Console.output("\(source.name)\t\(found)\t\(source.summary)\n")
        }
        return 0
      }
    }
  }

  struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "verify",
      abstract:
        "Reads data sets to the end; counts, SHA-256, and whether they are as published.",
      discussion: "Exit code 65 where a file is malformed, 66 where a named data set is not found.")

    @Argument(
      help: ArgumentHelp("Data sets. (default: all that are found)", valueName: "NAME"),
      completion: .dataSets)
    var names: [String] = []

    @OptionGroup var place: DirectoryOption

    func run() throws {
      DataCommand.alone(place.directory) { options in
        var sources = try names.map { try DataSetRegistry.source(named: $0) }
        if names.isEmpty {
          sources = DataSetRegistry.all.filter { source in
            source.name != "idx" && source.search(options).map { $0.directory != nil } ?? true
          }
        }
        var code = ExitCode.finished
        for source in sources {
          do {
            Console.output(report(source, try source.load(options)))
          } catch let failure as Failure {
            Console.error("moe-dist: \(failure.words.text(as: .options))")
            if code == .finished { code = failure.code }
          }
        }
        return code.rawValue
      }
    }

    private func report(_ source: any DataSetSource, _ data: DataSet) -> String {
      let place = data.location.isEmpty ? "built in" : data.location
      var text =
        "\(data.name): \(data.train.count) + \(data.test.count) images, \(data.classes) classes, \(place)\n"
      for (part, sum) in data.fingerprints.sorted(by: { $0.key < $1.key }) {
        let published = DataPart(rawValue: part).flatMap { source.knownFingerprints[$0] }
        let verdict = published.map { $0 == sum ? "  (as published)" : "  (not as published)" } ?? ""
        text += "  \(sum)  \(part)\(verdict)\n"
      }
      return text
    }
  }

  struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "export",
      abstract:
        "Writes a data set as CIFAR-100 binary files, which --dataset cifar-100 --data-dir DIR reads.",
      discussion: """
        For data of 32 × 32 × 3 pixels and 100 classes in 20 coarse ones: synthetic-rgb, or a part of cifar-100. \
        Nothing is overwritten.
        """)

    @Option(
      help: ArgumentHelp("The data set.", valueName: "NAME"),
      completion: .dataSets)
    var dataset = "synthetic-rgb"

    @Option(
      name: .customLong("to"), help: ArgumentHelp("Where to write; made if need be.", valueName: "DIR"),
      completion: .directory)
    var target: String

    @Option(
      name: .customLong("train-samples"),
      help: ArgumentHelp("The first of every class, this many in all. (default: all)", valueName: "N"))
    var trainSamples: Int?

    @Option(
      name: .customLong("test-samples"),
      help: ArgumentHelp("The first of every class, this many in all. (default: all)", valueName: "N"))
    var testSamples: Int?

    @OptionGroup var place: DirectoryOption

    func validate() throws {
      for count in [trainSamples, testSamples] where (count ?? 1) < 1 {
        throw ValidationError("a number of samples is at least 1")
      }
    }

    func run() throws {
      DataCommand.alone(place.directory) { options in
        var options = options
        options.trainSamples = trainSamples
        options.testSamples = testSamples
        let data = try DataSetRegistry.source(named: dataset).load(options)
        for path in try CIFARFile.write(data, to: target) { Console.output("\(path)\n") }
        return 0
      }
    }
  }
}
