import DataSets
import Dist
import Files
import Foundation
import MoE
import Records
import TestSupport
import Testing
import Training

/// What a run starts from, and what its checkpoints know of the data.
struct InitialWeightsTests {
  private let scratch = TemporaryDirectory()

  private func configuration(_ name: String, experts: Int = 3) throws -> Configuration {
    var configuration = try Configuration(dataset: "synthetic")
    configuration.model = "mnist"
    configuration.experts = experts
    configuration.trainSamples = 200
    configuration.testSamples = 50
    configuration.batchSize = 50
    configuration.validationFraction = 0
    configuration.maxSteps = 2
    configuration.epochs = 1
    configuration.runDirectory = scratch.path + "/" + name
    return configuration
  }

  /// Trains on so many ranks; the newest checkpoint, and the notes of rank 0.
  private func train(_ configuration: Configuration, ranks: Int = 1) throws -> (
    file: CheckpointFile, notes: [String]
  ) {
    let notes = Notes()
    let finished: [Bool] = try onRanks(ranks) {
      let summary = try TrainingRun(configuration).train(over: $0, observer: notes)
      return summary.status.state == .finished
    }
    #expect(finished.allSatisfy { $0 })
    return (try CheckpointDirectory.open(at: #require(configuration.runDirectory)), notes.texts)
  }

  private final class Notes: TrainingObserver, @unchecked Sendable {
    private let lock = NSLock()
    private var list: [String] = []
    var texts: [String] { lock.withLock { list } }

    func note(_ text: String) { lock.withLock { list.append(text) } }

    let stopRequested = false
    func started(_ plan: RunPlan) {}
    func progress(_ progress: StepProgress) {}
    func epochEnded(_ records: [MetricsRecord]) {}
    func checkpointWritten(_ path: String) {}
  }

  private func single() throws -> CheckpointFile {
    var configuration = try configuration("single")
    configuration.gate = .none
    return try train(configuration).file
  }

  private func values(_ name: String, of file: CheckpointFile) throws -> [Float] {
    try file.read(name, shape: #require(file.tensor(named: name)?.shape))
  }

  @Test func everyExpertStartsAsACopyOfTheSingleModel() throws {
    let single = try single()
    var sums: Set<String> = []
    for ranks in [1, 2, 3] {
      var mixture = try configuration("mixture-\(ranks)")
      mixture.initExpertsFrom = ranks == 1 ? single.path : scratch.path + "/single"
      mixture.maxSteps = 0
      let (file, notes) = try train(mixture, ranks: ranks)
      for tensor in single.tensors where tensor.name.hasPrefix("experts.0.") {
        let expected = try values(tensor.name, of: single)
        for expert in 0..<3 {
          let name = tensor.name.replacing("experts.0.", with: "experts.\(expert).")
          #expect(try values(name, of: file) == expected, "\(name) on \(ranks) ranks")
        }
      }
      #expect(
        notes.contains { $0.contains("each of 3 experts starts as a copy of it; the gate starts at random") })
      sums.insert(try #require(file.contentChecksum))
    }
    #expect(sums.count == 1)
    // The gate is that of a run that starts at random.
    var untrained = try configuration("random")
    untrained.maxSteps = 0
    let random = try train(untrained).file
    let upcycled = try CheckpointDirectory.open(at: scratch.path + "/mixture-1")
    for tensor in random.tensors where tensor.name.hasPrefix("gate.") {
      #expect(try values(tensor.name, of: random) == values(tensor.name, of: upcycled))
    }
  }

  @Test func aMixtureIsNoSingleModel() throws {
    let mixture = try train(configuration("mixture")).file
    var other = try configuration("other")
    other.initExpertsFrom = mixture.path
    let found = thrownFailure { _ = try train(other) }
    #expect(found?.message.contains("expected a single model") == true, "\(found?.message ?? "")")
    other.initFrom = mixture.path
    #expect(thrownFailure { _ = try TrainingRun(other) }?.code == .usage)
  }

  @Test func aPartialStartSaysWhatIsRandom() throws {
    var partial = try configuration("partial")
    partial.initFrom = try single().path
    let refused = thrownFailure { _ = try train(partial) }
    #expect(refused?.message.contains("it is a single model: init-experts-from") == true)
    partial.initPartial = true
    let notes = try train(partial).notes
    #expect(
      notes.contains { $0.hasSuffix("but at random: gate.*, experts.1.*, experts.2.*") }, "\(notes)")
    #expect(notes.contains { $0.contains("became expert 0 alone") }, "\(notes)")
  }

  /// A model answers by its checkpoint alone, as it does with its data.
  @Test func aCheckpointDescribesItsData() throws {
    let configuration = try configuration("described")
    let file = try train(configuration).file
    let data = try TrainingRun(configuration).data
    let trained = try Evaluator.configuration(of: file)
    let described = try Evaluator.data(
      of: EvaluationRequest(file), trained: trained, environment: [:])
    #expect(DataDescription(described) == DataDescription(data))
    #expect(described.train.count == 0 && described.classNames == data.classNames)
    func answers(_ data: DataSet, _ images: ImageSet) throws -> [SampleOutcome] {
      let collected = Collected()
      _ = try Evaluator.predict(
        EvaluationRequest(file), images: images, trained: trained, data: data,
        communicator: LocalCommunicator(), each: { collected.outcomes += $0 })
      return collected.outcomes
    }
    let (with, without) = (try answers(data, data.test), try answers(described, data.test))
    #expect(with.count == 50)
    #expect(with.map(\.probability) == without.map(\.probability))
    #expect(with.map(\.prediction) == without.map(\.prediction))
  }

  private final class Collected { var outcomes: [SampleOutcome] = [] }
}

struct DataDescriptionTests {
  @Test(arguments: ["synthetic", "synthetic-rgb"])
  func readsWhatItWrote(name: String) throws {
    let source = try DataSetRegistry.source(named: name)
    let description = DataDescription(try source.load(DataOptions(environment: [:])))
    #expect(DataDescription(text: description.text) == description)
    #expect(DataDescription(description.withoutImages) == description)
    // Every text that is cut short, and other values, are no description.
    for count in 0..<description.text.count {
      #expect(DataDescription(text: String(description.text.prefix(count))) == nil)
    }
    for (old, new) in [
      ("\"shape\":[", "\"shape\":[0,"), ("\"mean\":[", "\"mean\":[1,"), ("\"std\":[", "\"std\":[-"),
    ] {
      #expect(description.text.contains(old))
      #expect(DataDescription(text: description.text.replacing(old, with: new)) == nil)
    }
  }
}
