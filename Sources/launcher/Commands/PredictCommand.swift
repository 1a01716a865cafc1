import ArgumentParser
import DataSets
import Dist
import Files
import Foundation
import Records
import Training

struct PredictCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "predict", abstract: "Class, probability and chosen expert of every image of a file.")

  @OptionGroup var model: ModelOptions

  @Option(
    help: ArgumentHelp(
      "IDX file of images, or CIFAR binary file for colour models, plain or gzip.", valueName: "FILE"))
  var images: String

  @Option(help: ArgumentHelp("Form of the answers.", valueName: "WORD"))
  var format: OutcomeFile.Format = .csv

  @Option(help: ArgumentHelp("Where to write. (default: standard output)", valueName: "FILE"))
  var output: String?

  @Flag(help: "Replace the file that is there.") var force = false

  func run() throws {
    let environment = ProcessInfo.processInfo.environment
    let (request, trained, set, data) = Program.prepare(environment) {
      if let output, output != "-" { try OutputFile.check(output, force: force) }
      let (request, trained) = try model.resolve()
      let data = try Evaluator.data(of: request, trained: trained, environment: environment)
      return (request, trained, try ImageSet.unlabelled(images, like: data.train), data)
    }
    let code = Program.run(
      "predict",
      Program.alike(trained, data) + model.alike(request) + [Alike("--images", "\(set.count) of them")],
      environment
    ) { comm in
      let sink = try OutcomeFile(comm.rank == 0 ? output ?? "-" : nil, as: format)
      _ = try Evaluator.predict(request, images: set, trained: trained, data: data, communicator: comm) {
        try sink.write($0)
      }
      try sink.close()
      return 0
    }
    Program.end(code, environment)
  }
}

/// Writes what a model says of samples, a line each.
final class OutcomeFile {
  enum Format: String, CaseIterable, ExpressibleByArgument {
    /// sample,class,probability,expert
    case csv
    /// One JSON object per line.
    case jsonl
    /// sample,label,prediction,expert,p0,p1,… for `evaluate --per-sample`.
    case table

    static var allCases: [Format] { [.csv, .jsonl] }
  }

  private let format: Format
  /// nil: nothing is kept, or it goes to standard output.
  private let file: OutputFile?
  private let isKept: Bool
  private var hasHeading = false

  /// - Parameter path: `-` for standard output, nil for nowhere.
  init(_ path: String?, as format: Format) throws {
    self.format = format
    isKept = path != nil
    file = try path.flatMap { (path) throws(Failure) in path == "-" ? nil : try OutputFile(path) }
  }

  func write(_ outcomes: [SampleOutcome]) throws {
    guard isKept else { return }
    var text = ""
    if !hasHeading {
      hasHeading = true
      switch format {
      case .csv: text += "sample,class,probability,expert\n"
      case .jsonl: break
      case .table:
        let experts = outcomes.first?.gateProbabilities.count ?? 0
        text += "sample,label,prediction,expert" + (0..<experts).map { ",p\($0)" }.joined() + "\n"
      }
    }
    for outcome in outcomes {
      switch format {
      case .csv:
        text += "\(outcome.sample),\(outcome.prediction),\(outcome.probability),\(outcome.expert)\n"
      case .jsonl:
        text +=
          "{\"class\":\(outcome.prediction),\"expert\":\(outcome.expert),\"probability\":\(outcome.probability),"
          + "\"sample\":\(outcome.sample)}\n"
      case .table:
        text +=
          "\(outcome.sample),\(outcome.label.map(String.init) ?? ""),\(outcome.prediction),\(outcome.expert)"
        for p in outcome.gateProbabilities { text += ",\(p)" }
        text += "\n"
      }
    }
    if let file { try file.write(text) } else { Console.data(text) }
  }

  func close() throws { try file?.close() }
}
