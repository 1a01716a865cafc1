import ArgumentParser
import Dist
import Files
import Foundation
import Records
import Training

/// The options that name a trained model and how it is asked.
struct ModelOptions: ParsableArguments {
  @Argument(help: ArgumentHelp("The run directory.", valueName: "RUN"))
  var run: String

  @Option(
    help: ArgumentHelp(
      "latest, best (the smallest validation error of those that are kept) or a checkpoint's path.",
      valueName: "latest|best|PATH"))
  var checkpoint = "latest"

  @Option(
    help: ArgumentHelp(
      "Combine by another rule than the model's own: \(CombineRule.allCases.map(\.rawValue).joined(separator: ", ")).",
      valueName: "RULE"))
  var combine: String?

  @Option(
    help: ArgumentHelp("Experts per sample, with top-k. (default: 1, or the model's own)", valueName: "K"))
  var topK: Int?

  @Option(help: ArgumentHelp("Weights of the experts that run: full or renormalised.", valueName: "WORD"))
  var topKWeights: String?

  @Option(help: ArgumentHelp("Where the data set's files are.", valueName: "DIR"))
  var dataDir: String?

  @Option(
    help: ArgumentHelp(
      "Which rank owns which expert.", valueName: "auto|block|round-robin|R,R,…"))
  var placement = "auto"

  @Option(help: ArgumentHelp("What travels: uint8, float32 or index.", valueName: "WORD"))
  var payload = Payload.uint8.rawValue

  /// The checkpoint, the configuration that it was trained with, and the request.
  func resolve() throws -> (EvaluationRequest, Configuration) {
    let file = try ModelOptions.open(checkpoint, of: run)
    if let interruption = try RunDirectory.interruption(of: run),
      Ranks.rank(in: ProcessInfo.processInfo.environment) == 0
    {
      Console.error(interruption + "; this is its \(pathParts(of: file.path).name)")
    }
    var request = EvaluationRequest(file)
    request.combine = try word(combine, "combine")
    request.topKWeights = try word(topKWeights, "top-k-weights")
    request.topK = topK
    request.placement = placement
    request.payload = try word(payload, "payload") ?? .uint8
    var trained = try Evaluator.configuration(of: file)
    trained.dataDirectory = dataDir
    let saved = try? RunDirectory.settings(in: run)
    for entry in saved?.entries ?? [] {
      switch entry.key {
      case "train-images": trained.trainImages = entry.text
      case "train-labels": trained.trainLabels = entry.text
      case "test-images": trained.testImages = entry.text
      case "test-labels": trained.testLabels = entry.text
      // Where the run's data were may be gone; elsewhere the same data are as good, and others are refused.
      case "data-dir" where RunDirectory.exists(entry.text): trained.dataDirectory = dataDir ?? entry.text
      default: break
      }
    }
    return (request, trained)
  }

  /// What ranks must have alike of a request.
  func alike(_ request: EvaluationRequest) -> [Alike] {
    [
      Alike("--checkpoint", (try? request.file().contentChecksum) ?? ""),
      Alike("--combine", combine ?? ""), Alike("--top-k", topK.map(String.init) ?? ""),
      Alike("--top-k-weights", topKWeights ?? ""), Alike("--placement", placement),
      Alike("--payload", payload),
    ]
  }

  /// Opens what `latest`, `best` or a path means.
  static func open(_ checkpoint: String, of run: String) throws -> CheckpointFile {
    try RunDirectory.check(run)
    guard ["latest", "best"].contains(checkpoint) else { return try CheckpointFile(path: checkpoint) }
    guard RunDirectory.exists(run) else { throw Failure(.notFound, "there is no run directory \(run)") }
    let directory = CheckpointDirectory(run)
    if checkpoint == "best" {
      var best: BestCheckpoint?
      let file = try directory.open { () throws(Failure) in
        let found = try BestCheckpoint(of: run)
        best = found
        return found.name
      }
      if let best, Ranks.rank(in: ProcessInfo.processInfo.environment) == 0 {
        Console.error(
          "\(best.name.fileName) has the smallest validation error of \(best.choices): \(best.validationError)"
        )
      }
      return file
    }
    return try directory.open { () throws(Failure) in
      guard let name = try directory.newest() else {
        throw Failure(
          .notFound, "run directory \(run) has no checkpoint; train with --run-dir \(run) --resume auto")
      }
      return name
    }
  }

  private func word<Value: RawRepresentable & CaseIterable>(
    _ text: String?, _ option: String
  ) throws -> Value? where Value.RawValue == String {
    guard let text else { return nil }
    guard let value = Value(rawValue: text) else {
      throw Failure(
        .usage, "--\(option) '\(text)' is none of \(Value.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return value
  }
}

struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Evaluate a trained model on any number of ranks.")

  @OptionGroup var model: ModelOptions

  @Option(help: ArgumentHelp("test, validation or train.", valueName: "SPLIT"))
  var split: String = Split.test.rawValue

  @Option(
    help: ArgumentHelp(
      "Write sample, label, prediction, expert and p of every sample as CSV.", valueName: "FILE"))
  var perSample: String?

  @Flag(help: "Let --per-sample replace the file that is there.") var force = false

  @Flag(help: "Write the metrics as JSON to standard output.") var json = false

  func run() throws {
    let environment = ProcessInfo.processInfo.environment
    let (request, trained, part, data) = Program.prepare(environment) {
      if let perSample, perSample != "-" {
        try OutputFile.check(perSample, force: force, option: "per-sample")
      }
      let (request, trained) = try model.resolve()
      guard let part = Split(rawValue: split) else {
        throw Failure(.usage, "--split '\(split)' is none of test, validation, train")
      }
      return (request, trained, part, try trained.loadData(environment))
    }
    let code = Program.run(
      "evaluate",
      Program.alike(trained, data) + model.alike(request) + [
        Alike("--split", split), Alike("--per-sample", perSample == nil ? "" : "a file"),
      ], environment
    ) { comm in
      let sink = try OutcomeFile(comm.rank == 0 ? perSample : nil, as: .table)
      let found = try Evaluator.evaluate(
        request, split: part, trained: trained, data: data, communicator: comm,
        each: perSample == nil ? nil : { try sink.write($0) })
      try sink.close()
      guard let metrics = found.metrics, let account = found.account, let timing = found.timing else {
        return 0
      }
      if json {
        Console.data(found.json.text(pretty: true) + "\n")
      } else {
        let summary = RunSummary(
          status: RunStatus(state: .finished, epoch: 0, step: 0, stepsExecuted: 0),
          metrics: [RunSummary.SplitMetrics(split: split, metrics: metrics)], timing: timing,
          account: account,
          runDirectory: nil, oracleNote: found.oracleNote?.text(as: .options))
        Console.output(summary.figures)
      }
      return 0
    }
    Program.end(code, environment)
  }
}
