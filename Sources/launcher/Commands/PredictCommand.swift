import ArgumentParser
import DataSets
import Dist
import Files
import Foundation
import Records
import Training

struct PredictCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "predict", abstract: "Class, probability and chosen expert of every image of a file.",
    discussion: """
      N images, E experts, C classes. CSV has a column per value: sample, class, probability, expert, p_0 … of the \
      distribution, gate_0 … by expert, answer_0_0 … by expert and class. JSON lines have arrays. safetensors has a \
      tensor per name: class and expert [N] int32, probability [N], distribution [N,C], gate [N,E], answers [N,E,C] \
      float32. Answers of an expert that did not run are empty, null or NaN. Of a model with L mixture layers gate has \
      those of all, [N,L,E], gate_1_0 … and a list per layer, and there are no answers.
      """)

  @OptionGroup var model: ModelOptions

  @Option(
    help: ArgumentHelp(
      "IDX file of images, or CIFAR binary file for colour models, plain or gzip.", valueName: "FILE"),
    completion: .file())
  var images: String

  enum Format: String, CaseIterable, ExpressibleByArgument {
    case csv, jsonl, safetensors

    func form(_ columns: [OutcomeColumn]) -> any OutcomeForm {
      switch self {
      case .csv: CSVForm(columns)
      case .jsonl: JSONLinesForm(columns)
      case .safetensors: SafetensorsForm(columns)
      }
    }
  }

  @Option(help: ArgumentHelp("Form of the answers; safetensors needs --output.", valueName: "WORD"))
  var format: Format = .csv

  @Option(
    help: ArgumentHelp(
      """
      What is written of every image, in this order: class, probability and expert (the one that the gate prefers); \
      distribution: the model's probability of every class; gate: p of every expert; answers: every expert's probability \
      of every class.
      """, valueName: "NAME,NAME,…"))
  var outputColumns = OutcomeColumn.standard.map(\.rawValue).joined(separator: ",")

  @Option(
    help: ArgumentHelp("Where to write. (default: standard output)", valueName: "FILE"), completion: .file())
  var output: String?

  @Flag(help: "Replace the file that is there.") var force = false

  func run() throws {
    let environment = ProcessInfo.processInfo.environment
    let (request, trained, set, data, columns) = Program.prepare(environment) {
      if let output, output != "-" { try OutputFile.check(output, force: force) }
      guard format != .safetensors || output != nil else {
        throw Failure(.usage, "--format safetensors is no text; name a file with --output")
      }
      let (request, trained) = try model.resolve()
      let columns = try OutcomeColumn.list(outputColumns, isDeep: trained.isDeep)
      let data = try Evaluator.data(of: request, trained: trained, environment: environment)
      let set = try ImageSet.unlabelled(images, like: data.train)
      if format == .safetensors {
        try SafetensorsForm.checkMemory(
          columns, images: set.count, classes: data.classes, experts: trained.modelExperts)
      }
      return (request, trained, set, data, columns)
    }
    let code = Program.run(
      "predict",
      Program.alike(trained, data) + model.alike(request) + [
        Alike("--images", "\(set.count) of them"), Alike("--output-columns", outputColumns),
      ],
      environment
    ) { comm in
      let sink = try OutcomeFile(comm.rank == 0 ? output ?? "-" : nil, as: format.form(columns))
      let hasDetails = columns.contains { $0.needsDetails }
      _ = try Evaluator.predict(
        request, images: set, trained: trained, data: data, communicator: comm,
        each: hasDetails ? nil : { try sink.write($0.map { OutcomeRow($0) }) },
        detail: hasDetails ? { try sink.write($0.map { OutcomeRow($0) }) } : nil)
      try sink.close()
      return 0
    }
    Program.end(code, environment)
  }
}
