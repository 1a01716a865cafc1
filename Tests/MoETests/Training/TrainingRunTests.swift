import DataSets
import Dist
import Files
import Foundation
import Records
import TestSupport
import Testing
import Training

/// Runs of a program of one's own, without the command line.
struct TrainingRunTests {
  /// Six steps an epoch of the smallest network.
  private func small(_ directory: String?) throws -> Configuration {
    var configuration = try Configuration(dataset: "synthetic")
    configuration.model = "mnist"
    configuration.experts = 3
    configuration.trainSamples = 400
    configuration.testSamples = 100
    configuration.batchSize = 60
    configuration.epochs = 1
    configuration.runDirectory = directory
    return configuration
  }

  private func newest(_ directory: String) throws -> String {
    let checkpoints = CheckpointDirectory(directory)
    return checkpoints.path(of: try #require(try checkpoints.latest()))
  }

  private func checkpoint(_ directory: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: newest(directory)))
  }

  private func text(_ path: String) throws -> String {
    String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
  }

  @Test(arguments: DataSetRegistry.all.map(\.name))
  func aDataSetHasTheDefaultsOfTheCommandLine(name: String) throws {
    let layers = [ConfigurationLayer(commandLine: [("dataset", name)])]
    let resolved = try Configuration.resolve(layers).configuration
    #expect(try Configuration(dataset: name).checked().configuration == resolved)
  }

  @Test func anUnknownDataSetIsRefused() {
    #expect(throws: Failure.self) { try Configuration(dataset: "mnits") }
  }

  /// What a program sets is what is trained: the weights of k = 2 are not derived as on the command line.
  @Test func checkingChangesNoSetting() throws {
    var configuration = try Configuration(dataset: "synthetic")
    configuration.combine = .topK
    configuration.topK = 2
    configuration.topKWeights = .full
    let resolved = try configuration.checked()
    let kept = resolved.configuration
    #expect(kept.combine == .topK && kept.topK == 2 && kept.topKWeights == .full && resolved.notes.isEmpty)
    // What has no effect has its fixed value now, and nothing is left to change.
    #expect(try kept.checked().configuration == kept)
  }

  @Test func checkingFindsWhatCannotBe() throws {
    var configuration = try Configuration(dataset: "synthetic")
    configuration.batchSize = 0
    let failure = #expect(throws: Failure.self) { try configuration.checked() }
    #expect(failure?.message.hasPrefix("batch-size 0 is not allowed") == true)
    configuration = try Configuration(dataset: "synthetic")
    configuration.combine = .topK
    configuration.topK = configuration.experts + 1
    #expect(throws: Failure.self) { try configuration.checked() }
    configuration = try Configuration(dataset: "synthetic")
    configuration.topK = 3
    let idle = try configuration.checked()
    #expect(idle.configuration.topK == 1 && idle.notes.count == 1)
  }

  @Test func aRunWithoutADirectoryKeepsNothing() throws {
    let run = try TrainingRun(small(nil))
    #expect(run.place == .nowhere && run.checkpoint == nil)
    let summary = try run.train(over: LocalCommunicator())
    #expect(summary.state == .finished && summary.status.step == 6 && summary.runDirectory == nil)
    #expect(summary.metrics.map(\.split) == ["train", "validation", "test"])
  }

  /// Layers and fields are two ways to the same bytes; the record is whole.
  @Test func layersAndFieldsTrainTheSame() throws {
    let temporary = TemporaryDirectory()
    let (a, b) = (temporary.path + "/a", temporary.path + "/b")
    _ = try TrainingRun(small(a)).train(over: LocalCommunicator())
    let layer = ConfigurationLayer(commandLine: [
      ("dataset", "synthetic"), ("model", "mnist"), ("experts", "3"), ("train-samples", "400"),
      ("test-samples", "100"), ("batch-size", "60"), ("epochs", "1"), ("run-dir", b),
    ])
    _ = try TrainingRun([layer]).train(over: LocalCommunicator())
    #expect(try checkpoint(a) == checkpoint(b))
    for name in [
      "config.yaml", "run.json", "status.json", "summary.json", "metrics.jsonl", "expert_class.csv",
    ] {
      #expect(FileManager.default.fileExists(atPath: a + "/" + name), "\(name)")
    }
    #expect(try text(a + "/expert_class.csv") == text(b + "/expert_class.csv"))
    let agreed = #expect(throws: AgreedError.self) {
      try TrainingRun(small(a)).train(over: LocalCommunicator())
    }
    #expect(agreed?.exitCode == ExitCode.cannotCreate.rawValue)
  }

  /// Stopped after four of six steps and gone on with, by either way, a run has the bytes of one that was not.
  @Test func aRunGoesOn() throws {
    let temporary = TemporaryDirectory()
    let whole = temporary.path + "/whole"
    _ = try TrainingRun(small(whole)).train(over: LocalCommunicator())
    for way in ["fields", "layers", "path"] {
      let path = temporary.path + "/" + way
      var configuration = try small(path)
      configuration.maxSteps = 4
      let begun = try TrainingRun(configuration, resume: .auto)
      #expect(begun.checkpoint == nil)
      _ = try begun.train(over: LocalCommunicator())
      let run: TrainingRun
      switch way {
      case "fields": run = try TrainingRun(small(path), resume: .auto)
      case "layers":
        run = try TrainingRun(
          [ConfigurationLayer(commandLine: [("run-dir", path), ("max-steps", "6")])], resume: .auto)
      default: run = try TrainingRun(small(path), resume: .checkpoint(newest(path)))
      }
      #expect(run.checkpoint != nil)
      let summary = try run.train(over: LocalCommunicator())
      #expect(summary.status.stepsExecuted == 2, "\(way)")
      #expect(try checkpoint(path) == checkpoint(whole), "\(way)")
      #expect(try text(path + "/expert_class.csv") == text(whole + "/expert_class.csv"), "\(way)")
    }
  }

  @Test func anotherRunsCheckpointIsRefused() throws {
    let temporary = TemporaryDirectory()
    let path = temporary.path + "/run"
    _ = try TrainingRun(small(path)).train(over: LocalCommunicator())
    var other = try small(path)
    other.seed = 1
    let failure = #expect(throws: Failure.self) { try TrainingRun(other, resume: .auto) }
    #expect(failure?.message.hasPrefix("seed is 1, but ") == true)
  }

  /// An error after the run began is in its record.
  @Test func aFailureIsKept() throws {
    struct Fault: Error {}
    let temporary = TemporaryDirectory()
    let path = temporary.path + "/run"
    #expect(throws: Fault.self) {
      try TrainingRun(small(path)).train(
        over: LocalCommunicator(),
        onStage: { stage, step in
          if stage == .phase(.experts), step == 2 { throw Fault() }
        })
    }
    #expect(try text(path + "/status.json").contains("\"failed\""))
    #expect(FileManager.default.fileExists(atPath: path + "/errors/rank-000.json"))
  }

  /// A run that cannot begin leaves no directory.
  @Test func aRunThatCannotBeginLeavesNothing() throws {
    let temporary = TemporaryDirectory()
    let path = temporary.path + "/run"
    var configuration = try small(path)
    configuration.placement = "0,1,7"
    #expect(throws: (any Error).self) { try TrainingRun(configuration).train(over: LocalCommunicator()) }
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  @Test func aPlanKeepsNothing() throws {
    let temporary = TemporaryDirectory()
    let path = temporary.path + "/run"
    let plan = try TrainingRun(small(path)).plan(over: LocalCommunicator())
    #expect(plan.steps == 6 && plan.experts == 3)
    #expect(!FileManager.default.fileExists(atPath: path))
  }
}
