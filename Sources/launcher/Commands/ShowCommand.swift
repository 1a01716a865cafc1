import ArgumentParser
import DataSets
import Dist
import Files
import Foundation
import MoE
import Records
import Training

struct ShowCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "One image's way: the gate's probabilities, and the ranks and experts that ran or did nothing.",
    discussion: """
      Draws the image, and says what the gate thought of it, which experts ran and where, what each of them and the \
      mixture answered, and how many FLOPs that took against the dense model. Alone, experts are on the ranks of the run \
      that trained the model, by its run.json; under mpirun, or with --placement, on the ranks of this command. The numbers \
      are the same.
      """)

  @OptionGroup var model: ModelOptions

  @OptionGroup var split: SplitOption

  @Option(
    help: ArgumentHelp(
      "Number of the image in the file of its split, from 0; may be given several times.", valueName: "K"))
  var sample: [Int] = []

  @Flag(help: "Write everything as JSON to standard output, with all classes of every answer.")
  var json = false

  func run() throws {
    let environment = ProcessInfo.processInfo.environment
    let (request, trained, part, data, known) = Program.prepare(environment) {
      guard !sample.isEmpty else { throw Failure(.usage, "name an image with --sample, numbered from 0") }
      let (request, trained) = try model.resolve()
      return (
        request, trained, try split.part(), try trained.loadData(environment),
        try stageOfRun(trained, environment)
      )
    }
    let code = Program.run(
      "show",
      Program.alike(trained, data) + model.alike(request) + [
        Alike("--split", part.rawValue), Alike("--sample", sample.map(String.init).joined(separator: " ")),
      ], environment
    ) { comm in
      let ways = try Evaluator.ways(
        request, of: sample, split: part, trained: trained, data: data, communicator: comm)
      guard comm.rank == 0 else { return 0 }
      let here =
        known(ways)
        ?? SampleStage(
          owners: ways.placement, ranks: ways.ranks, isOfRun: false, hasGateOnRoot: ways.hasGateOnRoot)
      let images = part == .test ? data.test : data.train
      if json {
        Console.data(json(ways, here, try request.file(), data).text(pretty: true) + "\n")
      } else {
        let text = SampleText(
          ways, stage: here, classNames: data.classNames, images: images,
          TerminalLook(of: STDOUT_FILENO, environment))
        for (number, detail) in ways.details.enumerated() {
          if number > 0 { Console.output("\n") }
          Console.output(
            "\(model.run), \(pathParts(of: try request.file().path).name): \(part.rawValue) sample \(detail.outcome.sample)\n\n"
          )
          Console.drawing(text.text(detail))
        }
        if let note = ways.oracleNote { Console.output("\n\(note.text(as: .options))\n") }
      }
      return 0
    }
    Program.end(code, environment)
  }

  /// The stage of the run that trained the model, where it is known and this command has none of its own.
  private func stageOfRun(_ trained: Configuration, _ environment: [String: String]) throws
    -> (SampleWays) -> SampleStage?
  {
    guard Ranks.count(in: environment) == 1, model.placement == "auto",
      let found = try RunDirectory.placement(of: model.run), found.owners.count == trained.modelExperts
    else { return { _ in nil } }
    let settings = try RunDirectory.settings(in: model.run).entries
    let place = settings.last { $0.key == "gate-placement" }?.text
    let isReplicated = place == GatePlacement.replicated.rawValue
    return { ways in
      SampleStage(
        owners: found.owners, ranks: found.ranks, isOfRun: found.ranks > 1,
        hasGateOnRoot: ways.costs.gate > 0 && !isReplicated)
    }
  }

  private func json(
    _ ways: SampleWays, _ stage: SampleStage, _ file: CheckpointFile, _ data: DataSet
  ) -> JSONValue {
    let costs = ways.costs
    return [
      "run": .string(model.run), "checkpoint": .string(pathParts(of: file.path).name),
      "split": .string(split.split),
      "class_names": .array(data.classNames.map { .string($0) }),
      "placement": .array(stage.owners.map { .integer($0) }), "ranks": .integer(stage.ranks),
      "ranks_of": .string(stage.isOfRun ? "run" : "command"),
      "costs": [
        "gate": .integer(costs.gate), "trunk": .integer(costs.trunk), "expert": .integer(costs.expert),
        "dense": .integer(costs.dense),
      ],
      "reason_for_all": ways.reasonForAll.map { .string($0) } ?? .null,
      "oracle": .bool(ways.oracleNote != nil),
      "samples": .array(ways.details.map { stage.json($0, costs) }),
    ]
  }
}
