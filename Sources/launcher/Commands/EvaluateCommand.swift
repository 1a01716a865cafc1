import ArgumentParser
import Dist
import Files
import Foundation
import Records
import Training

/// The options that name a trained model and how it is asked.
struct ModelOptions: ParsableArguments {
  @Argument(
    help: ArgumentHelp("The run directory, or a checkpoint of it.", valueName: "RUN"), completion: .file())
  var run: String

  @Option(
    help: ArgumentHelp(
      "latest, best (the smallest validation error of those that are kept) or a checkpoint's path.",
      valueName: "latest|best|PATH"), completion: .namedCheckpoints)
  var checkpoint = "latest"

  @Option(
    help: ArgumentHelp(
      "Combine by another rule than the model's own: \(CombineRule.allCases.map(\.rawValue).joined(separator: ", ")).",
      valueName: "RULE"), completion: .words(of: CombineRule.self))
  var combine: String?

  @Option(
    help: ArgumentHelp("Experts per sample, with top-k. (default: 1, or the model's own)", valueName: "K"))
  var topK: Int?

  @Option(
    help: ArgumentHelp("Weights of the experts that run: full or renormalised.", valueName: "WORD"),
    completion: .words(of: TopKWeights.self))
  var topKWeights: String?

  @Option(
    help: ArgumentHelp(
      "Where the data set's files are; predict needs them for checkpoints of 0.1.0 alone. (default: where the run had them)",
      valueName: "DIR"), completion: .directory)
  var dataDir: String?

  @Option(
    help: ArgumentHelp(
      "Which rank owns which expert.", valueName: "auto|block|round-robin|R,R,…"),
    completion: .list(["auto", "block", "round-robin"]))
  var placement = "auto"

  @Option(
    help: ArgumentHelp("What travels: uint8, float32 or index.", valueName: "WORD"),
    completion: .words(of: Payload.self))
  var payload = Payload.uint8.rawValue

  /// The checkpoint, the configuration that it was trained with, and the request.
  ///
  /// - Parameter named: the four IDX files, where they are named again.
  func resolve(_ named: NamedFiles? = nil) throws -> (EvaluationRequest, Configuration) {
    let file = try ModelOptions.open(checkpoint, of: run)
    if let interruption = try RunDirectory.interruption(of: directory),
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
    let saved = try? RunDirectory.settings(in: directory)
    let texts = (saved?.entries ?? []).reduce(into: [:]) { $0[$1.key] = $1.text }
    // Where the run's data were may be gone; elsewhere the same data are as good, and others are refused.
    trained.dataDirectory = dataDir ?? texts["data-dir"].flatMap { RunDirectory.exists($0) ? $0 : nil }
    if named?.isGiven == true, trained.dataset != "idx" {
      throw Failure(
        .usage,
        "\(run) is a run on \(trained.dataset), whose directory --data-dir names; leave out --train-images and the like"
      )
    }
    let files = named?.isGiven == true ? named : NamedFiles(texts).moved(to: dataDir)
    files?.place(in: &trained)
    return (request, trained)
  }

  /// The run directory, also where a checkpoint is named.
  private var directory: String { SafeFile.isPlain(run) ? pathParts(of: run).directory : run }

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
    if SafeFile.isPlain(run) {
      guard checkpoint == "latest" else {
        throw Failure(
          .usage, "\(run) is a checkpoint already; leave out --checkpoint, or name the run directory")
      }
      return try CheckpointFile(path: run)
    }
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

/// The four IDX files of a run with the data set `idx`, by the options that name them.
struct NamedFiles: ParsableArguments {
  @Option(
    help: ArgumentHelp("IDX file, for a run on named files; all four or none.", valueName: "FILE"),
    completion: .file())
  var trainImages: String?

  @Option(help: ArgumentHelp("IDX file.", valueName: "FILE"), completion: .file())
  var trainLabels: String?

  @Option(help: ArgumentHelp("IDX file.", valueName: "FILE"), completion: .file())
  var testImages: String?

  @Option(help: ArgumentHelp("IDX file.", valueName: "FILE"), completion: .file())
  var testLabels: String?

  init() {}

  /// Those of a run's settings.
  init(_ settings: [String: String]) {
    trainImages = settings["train-images"]
    trainLabels = settings["train-labels"]
    testImages = settings["test-images"]
    testLabels = settings["test-labels"]
  }

  var isGiven: Bool { [trainImages, trainLabels, testImages, testLabels].contains { $0 != nil } }

  /// The same names in another directory; nil where one is not there, so that the directory is searched as usual.
  func moved(to directory: String?) -> NamedFiles? {
    guard let directory else { return isGiven ? self : nil }
    func place(_ path: String?) -> String? {
      path.map { "\(directory)/\(pathParts(of: $0).name)" }.flatMap { RunDirectory.exists($0) ? $0 : nil }
    }
    var moved = NamedFiles()
    moved.trainImages = place(trainImages)
    moved.trainLabels = place(trainLabels)
    moved.testImages = place(testImages)
    moved.testLabels = place(testLabels)
    return [moved.trainImages, moved.trainLabels, moved.testImages, moved.testLabels].contains(nil)
      ? nil : moved
  }

  /// Puts them into a configuration.
  func place(in configuration: inout Configuration) {
    configuration.trainImages = trainImages
    configuration.trainLabels = trainLabels
    configuration.testImages = testImages
    configuration.testLabels = testLabels
  }
}

/// The part of the data that a command looks at.
struct SplitOption: ParsableArguments {
  @Option(
    help: ArgumentHelp("test, validation or train.", valueName: "SPLIT"),
    completion: .list(["test", "validation", "train"]))
  var split: String = Split.test.rawValue

  func part() throws(Failure) -> Split {
    guard let part = Split(rawValue: split) else {
      throw Failure(.usage, "--split '\(split)' is none of test, validation, train")
    }
    return part
  }
}

struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Evaluate a trained model on any number of ranks.")

  @OptionGroup var model: ModelOptions

  @OptionGroup var files: NamedFiles

  @OptionGroup var split: SplitOption

  @Option(
    help: ArgumentHelp(
      "Write sample, label, prediction, expert and p of every sample as CSV.", valueName: "FILE"),
    completion: .file())
  var perSample: String?

  @Flag(help: "Let --per-sample replace the file that is there.") var force = false

  @Flag(help: "Write the metrics as JSON to standard output.") var json = false

  func run() throws {
    let environment = ProcessInfo.processInfo.environment
    let (request, trained, part, data) = Program.prepare(environment) {
      if let perSample, perSample != "-" {
        try OutputFile.check(perSample, force: force, option: "per-sample")
      }
      let (request, trained) = try model.resolve(files)
      let part = try split.part()
      do {
        return (request, trained, part, try trained.loadData(environment))
      } catch let failure as Failure {
        guard failure.code == .notFound, trained.trainImages != nil, !files.isGiven else { throw failure }
        throw Failure(
          .notFound,
          "\(failure.words), where the run had it; name the directory by --data-dir, or the four files by --train-images and the like"
        )
      }
    }
    let code = Program.run(
      "evaluate",
      Program.alike(trained, data) + model.alike(request) + [
        Alike("--split", part.rawValue), Alike("--per-sample", perSample == nil ? "" : "a file"),
      ], environment
    ) { comm in
      let sink = try OutcomeFile(comm.rank == 0 ? perSample : nil, as: SampleTableForm())
      let found = try Evaluator.evaluate(
        request, split: part, trained: trained, data: data, communicator: comm,
        each: perSample == nil ? nil : { try sink.write($0.map { OutcomeRow($0) }) })
      try sink.close()
      guard let metrics = found.metrics, let account = found.account, let timing = found.timing else {
        return 0
      }
      if json {
        Console.data(found.json.text(pretty: true) + "\n")
      } else {
        let summary = RunSummary(
          status: RunStatus(state: .finished, epoch: 0, step: 0, stepsExecuted: 0),
          metrics: [RunSummary.SplitMetrics(split: part.rawValue, metrics: metrics)], timing: timing,
          account: account,
          runDirectory: nil, oracleNote: found.oracleNote?.text(as: .options))
        Console.output(summary.figures)
      }
      return 0
    }
    Program.end(code, environment)
  }
}
