import DataSets
import Dist
import Files
import Foundation
import MoE
import Networks
import Records
import Testing
import Training

/// Whole runs in one process, into a directory that is removed at the end.
struct TrialRun: ~Copyable {
  let path: String

  init() { path = FileManager.default.temporaryDirectory.path + "/moe-dist-run-" + UUID().uuidString }
  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Batches of five blocks and a last one of two.
  static let common: [(key: String, text: String)] = [
    ("dataset", "synthetic"), ("model", "mnist"), ("experts", "3"), ("batch-size", "150"),
    ("block-rows", "32"),
    ("train-samples", "400"), ("test-samples", "100"), ("validation-fraction", "0.1"),
    ("checkpoint-every", "0"),
    ("seed", "5"),
  ]

  /// Trains, or goes on, as the command does; what the run came to, on rank 0.
  func train(_ ranks: Int, _ settings: [(key: String, text: String)], resume: Bool = false) throws
    -> RunSummary
  {
    let path = path
    let layer = ConfigurationLayer(commandLine: Self.common + settings)
    var checkpoint: String?
    var resolved = try Configuration.resolve([layer])
    if resume {
      let newest = try #require(try CheckpointDirectory(path).newestValid { _ in })
      checkpoint = newest.path
      resolved = try Configuration.resuming(
        from: try Evaluator.configuration(of: newest.path), earlier: try RunDirectory.settings(in: path),
        [layer],
        checkpoint: "c")
    }
    let configuration = resolved.configuration
    var options = DataOptions(environment: [:])
    options.trainSamples = configuration.trainSamples
    options.testSamples = configuration.testSamples
    let data = try DataSetRegistry.source(named: configuration.dataset).load(options)
    let from = checkpoint
    return try LocalGroup.run(ranks: ranks) { communicator in
      var run: RunDirectory?
      if communicator.rank == 0 {
        run = resume ? try RunDirectory.reopen(path) : try RunDirectory.create(path)
        try run?.write(configuration: configuration)
      }
      try communicator.barrier()
      let trainer = try Trainer(
        configuration: configuration, data: data, communicator: communicator, directory: path, run: run,
        resume: from, observer: SilentObserver())
      if resume { try run?.truncateMetrics(toStep: trainer.currentPosition.step) }
      return try trainer.train()
    }[0]
  }

  /// The bytes of the newest checkpoint.
  func checkpoint() throws -> Data {
    let directory = CheckpointDirectory(path)
    return try Data(contentsOf: URL(filePath: directory.path(of: try #require(try directory.latest()))))
  }

  /// The newest checkpoint.
  func file() throws -> CheckpointFile { try #require(try CheckpointDirectory(path).newestValid { _ in }) }

  /// The validation errors of the epochs.
  func validationErrors() throws -> [Double] {
    try String(contentsOfFile: path + "/metrics.jsonl", encoding: .utf8).split(separator: "\n").compactMap {
      line in
      let json = try JSONValue(parsing: Array(line.utf8))
      return json["split"]?.stringValue == "validation" ? json["error"]?.numberValue : nil
    }
  }
}

/// Neither ranks, nor the gate's place, nor a stop change a bit, whatever updates the parameters.
struct OptimiserRunTests {
  static let recipes: [[(key: String, text: String)]] = [
    [
      ("optimiser", "adamw"), ("weight-decay", "0.05"), ("schedule", "cosine"), ("warm-up", "4"),
      ("clip-norm", "0.3"),
    ],
    [
      ("optimiser", "sgd"), ("weight-decay", "0.01"), ("learning-rate", "0.1"), ("schedule", "step"),
      ("step-epochs", "1"),
    ],
    [
      ("optimiser", "sgd"), ("momentum", "0"), ("learning-rate", "0.1"), ("clip-norm", "0.5"),
      ("gate", "attentive"),
    ],
    [("clip-norm", "0.2"), ("combine", "top-k"), ("warm-up", "3")],
  ]

  @Test(arguments: recipes.indices)
  func ranksChangeNothing(_ recipe: Int) throws {
    let settings = Self.recipes[recipe] + [("epochs", "3")]
    let alone = TrialRun()
    #expect(try alone.train(1, settings).status.step == 9)
    let expected = try alone.checkpoint()
    for ranks in [1, 2, 3, 5] {
      for place in GatePlacement.allCases where ranks > 1 || place == .replicated {
        let other = TrialRun()
        _ = try other.train(ranks, settings + [("gate-placement", place.rawValue)])
        #expect(try other.checkpoint() == expected, "\(ranks) ranks, \(place)")
      }
    }
  }

  /// In the middle of an epoch, of a warm-up and of a cosine.
  @Test(arguments: recipes.indices)
  func aStopChangesNothing(_ recipe: Int) throws {
    let settings = Self.recipes[recipe] + [("epochs", "3")]
    let whole = TrialRun()
    _ = try whole.train(2, settings)
    let halves = TrialRun()
    let first = try halves.train(3, settings + [("max-steps", "2"), ("gate-placement", "replicated")])
    #expect(first.status.step == 2)
    // What is given again stays the same; the limit was in the run's own configuration.
    let second = try halves.train(2, settings + [("max-steps", "1000")], resume: true)
    #expect(second.status.stepsExecuted == 7)
    #expect(try halves.checkpoint() == whole.checkpoint())
  }

  @Test func everyRecipeMatters() throws {
    var seen: Set<Data> = []
    for settings in Self.recipes + [[]] + Self.recipes.map({ $0.filter { $0.key != "clip-norm" } }) {
      let run = TrialRun()
      _ = try run.train(1, settings + [("epochs", "2")])
      seen.insert(try run.checkpoint())
    }
    // One of the recipes has no limit of the norm to leave out.
    #expect(seen.count == 2 * Self.recipes.count)
  }

  @Test func aCheckpointHasTheOptimisersStateByItsNames() throws {
    func suffixes(_ settings: [(key: String, text: String)]) throws -> Set<String> {
      let run = TrialRun()
      _ = try run.train(1, settings + [("max-steps", "1"), ("epochs", "1")])
      return Set(
        try run.file().tensors.map(\.name).filter { $0.hasPrefix("optimizer.experts.0.") }
          .map { String($0.split(separator: ".").last ?? "") })
    }
    #expect(try suffixes([]) == ["m", "v"])
    #expect(try suffixes([("optimiser", "adamw")]) == ["m", "v"])
    #expect(try suffixes([("optimiser", "sgd")]) == ["momentum"])
    #expect(try suffixes([("optimiser", "sgd"), ("momentum", "0")]).isEmpty)
  }

  /// A cosine is as long as the run was meant to be when it began.
  @Test func aCosineIsNotLengthenedByAResume() throws {
    let run = TrialRun()
    let cosine: [(key: String, text: String)] = [("schedule", "cosine"), ("epochs", "2")]
    _ = try run.train(1, cosine)
    #expect {
      _ = try run.train(1, [("epochs", "3")], resume: true)
    } throws: { error in
      (error as? Failure)?.code == .usage && "\(error)".contains("epochs 3 goes beyond schedule-epochs 2")
    }
    let whole = TrialRun()
    _ = try whole.train(1, [("schedule", "cosine"), ("epochs", "4")])
    let begun = TrialRun()
    _ = try begun.train(1, cosine + [("schedule-epochs", "4")])
    _ = try begun.train(2, [("epochs", "4")], resume: true)
    #expect(try begun.checkpoint() == whole.checkpoint())
  }
}
