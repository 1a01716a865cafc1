import DataSets
import Files
import MoE
import Networks
import Numerics
import Testing
import Training

private func layer(_ pairs: KeyValuePairs<String, String>) -> ConfigurationLayer {
  ConfigurationLayer(commandLine: pairs.map { ($0.key, $0.value) })
}

private func refusal(_ body: () throws -> Void) -> Failure? {
  do {
    try body()
    return nil
  } catch {
    return error as? Failure
  }
}

private func refusal(_ pairs: KeyValuePairs<String, String>) -> Failure? {
  refusal { _ = try Configuration.resolve([layer(pairs)]) }
}

struct ConfigurationTests {
  @Test func defaultsAreThoseOfThePaper() throws {
    let resolved = try Configuration.resolve([])
    #expect(resolved.notes.isEmpty && resolved.given.isEmpty)
    let configuration = resolved.configuration
    #expect(configuration.dataset == "fashion-mnist" && configuration.model == "fashion-mnist")
    #expect(
      configuration.experts == 5 && configuration.gate == .softmax && configuration.combine == .expectation)
    #expect(configuration.topK == 1 && configuration.temperature == 1 && configuration.weightDecay == 0)
    #expect(
      configuration.epochs == 20 && configuration.batchSize == 512 && configuration.learningRate == 1e-3)
    #expect(
      configuration.seed == 0 && configuration.validationFraction == 0.1 && configuration.blockRows == 128)
  }

  @Test func laterLayersWin() throws {
    let file = try ConfigurationLayer(yaml: "epochs: 3\nseed: 7\n", file: "a.yaml")
    let second = try ConfigurationLayer(yaml: "epochs: 4\n", file: "b.yaml")
    let resolved = try Configuration.resolve([file, second, layer(["seed": "8"])])
    #expect(resolved.configuration.epochs == 4)
    #expect(resolved.configuration.seed == 8)
  }

  @Test func weightsFollowFromK() throws {
    func weights(_ pairs: KeyValuePairs<String, String>) throws -> TopKWeights {
      try Configuration.resolve([layer(pairs)]).configuration.topKWeights
    }
    #expect(try weights(["combine": "top-k"]) == .full)
    #expect(try weights(["combine": "top-k", "top-k": "2"]) == .renormalised)
    #expect(try weights(["combine": "top-k", "top-k": "2", "top-k-weights": "full"]) == .full)
    #expect(try weights(["combine": "top-k", "top-k-weights": "renormalised"]) == .renormalised)
  }

  /// Configurations that give every setting a value between them; some exclude each other.
  static var configurations: [Configuration] {
    var classes = Configuration()
    classes.gate = .classes
    classes.experts = 2
    classes.expertClasses = "0,2,4,6,8/1,3,5,7,9"
    // FashionMNIST's images are trained as they are.
    classes.augment = false
    var distilled = Configuration()
    distilled.augment = false
    distilled.distillFrom = "runs/a/b.safetensors"
    distilled.distillLoss = .labels
    distilled.freeze = .experts
    var frozen = Configuration()
    frozen.augment = false
    frozen.freeze = .gate
    var scheduled = Configuration()
    scheduled.augment = false
    scheduled.optimiser = .sgd
    scheduled.momentum = 0.5
    scheduled.schedule = .step
    scheduled.stepEpochs = 3
    scheduled.stepFactor = 0.25
    scheduled.warmUp = 7
    scheduled.clipNorm = 1.5
    scheduled.patience = 4
    var cosine = Configuration()
    cosine.augment = false
    cosine.optimiser = .adamw
    cosine.schedule = .cosine
    cosine.scheduleEpochs = 30
    cosine.initExpertsFrom = "single.safetensors"
    return [everything, classes, distilled, frozen, scheduled, cosine]
  }

  private static var everything: Configuration {
    var configuration = Configuration()
    configuration.dataset = "idx"
    configuration.combine = .topK
    configuration.topK = 2
    configuration.mean = [0.25, -1]
    configuration.standardDeviation = [0.5, 1e-3]
    configuration.initFrom = "a b.safetensors"
    configuration.maxSteps = 3
    configuration.maxTime = 1.5
    configuration.seed = .max
    configuration.dataDirectory = "/d"
    configuration.trainImages = "1"
    configuration.trainLabels = "2"
    configuration.testImages = "3"
    configuration.testLabels = "4"
    configuration.trainSamples = 100
    configuration.testSamples = 20
    configuration.augment = false
    configuration.runDirectory = "r"
    configuration.trace = "t.json"
    configuration.traceSteps = "2:5"
    configuration.expertTemperature = 2
    configuration.noise = 1.5
    configuration.capacity = 1.25
    configuration.zLoss = 1e-3
    configuration.loadBalance = 0.01
    configuration.importance = 0.4
    configuration.similarity = 1e-6
    configuration.dissimilarity = 0.5
    configuration.similarityScaling = .authors
    configuration.similarityDistance = .squaredEuclidean
    configuration.similarityScale = "12.5"
    configuration.initOnly = .gate
    return configuration
  }

  @Test(arguments: configurations)
  func everySettingReadsItsOwnText(_ configuration: Configuration) throws {
    let entries = ConfigurationSchema.settings.compactMap { setting in
      setting.text(configuration).map { (key: setting.key, text: $0) }
    }
    #expect(
      try Configuration.resolve([ConfigurationLayer(commandLine: entries)]).configuration == configuration)
  }

  @Test func configurationsGiveEverySettingAValue() {
    let given = ConfigurationSchema.settings.filter { setting in
      Self.configurations.contains { setting.text($0) != nil }
    }
    #expect(given.map(\.key) == ConfigurationSchema.settings.map(\.key))
  }

  @Test func keysAreUnique() {
    let keys = ConfigurationSchema.settings.map(\.key)
    #expect(Set(keys).count == keys.count)
  }

  // MARK: What is refused

  @Test(arguments: [
    ("experts", "0"), ("experts", "five"), ("experts", "99999999999999999999"), ("top-k", "-1"),
    ("temperature", "0"),
    ("temperature", "nan"), ("learning-rate", "inf"), ("learning-rate", "-1"), ("batch-size", "0"),
    ("validation-fraction", "1"), ("validation-fraction", "-0.1"), ("gate", "sofmax"), ("payload", "int8"),
    ("placement", "0,-1"), ("placement", "0,,1"), ("placement", "blok"), ("max-steps", "-1"),
    ("max-time", "0"),
    ("seed", "-1"), ("seed", "18446744073709551616"), ("mean", "0.1,"), ("std", "0"), ("shuffle", "ja"),
    ("train-samples", "0"), ("test-samples", "ten"), ("augment", "yes"),
    ("data-dir", ""), ("stall-abort", "-5"), ("block-rows", "0"), ("importance", "-0.1"), ("z-loss", "-1"),
    ("load-balance", "nan"), ("noise", "-1"), ("capacity", "0"), ("capacity", "inf"), ("similarity", "-1"),
    ("dissimilarity", "nan"), ("similarity-scale", "0"), ("similarity-scale", "mean"),
    ("expert-temperature", "0"), ("expert-classes", "0,1/1,2"), ("expert-classes", "0,/1"),
    ("expert-classes", "a/b"), ("freeze", "all"), ("init-only", "some"), ("distill-loss", "mse"),
    ("optimiser", "adagrad"), ("momentum", "1"), ("momentum", "-0.1"), ("schedule", "linear"),
    ("schedule-epochs", "0"), ("step-epochs", "0"), ("step-factor", "0"), ("warm-up", "-1"),
    ("warm-up", "0.1"),
    ("clip-norm", "0"), ("patience", "0"),
  ])
  func valuesOutOfRangeAreRefused(key: String, text: String) throws {
    let failure = try #require(refusal([key: text]))
    #expect(failure.code == .usage)
    #expect(failure.message.contains(key) && failure.message.contains("expected"))
  }

  @Test func aMistypedWordIsNamed() {
    #expect(
      refusal(["gate": "sofmax"])?.message
        == "gate sofmax is not allowed: expected softmax, attentive, peeking, loudest, loss, classes, none; did you mean 'softmax'?"
    )
    #expect(
      refusal(["dataset": "fashon-mnist"])?.message.hasPrefix(
        "dataset fashon-mnist: unknown dataset 'fashon-mnist'; did you mean 'fashion-mnist'? known are ")
        == true)
    #expect(refusal(["model": "mnits"])?.message.contains("did you mean 'mnist'?") == true)
  }

  @Test func kMustNotExceedTheExperts() {
    let message = refusal(["combine": "top-k", "top-k": "9"])?.message
    #expect(message?.hasPrefix("top-k 9 is larger than experts 5") == true)
    let given = refusal(["combine": "top-k", "top-k": "9", "experts": "8"])?.message
    #expect(given == "top-k 9 is larger than experts 8; take a smaller k or more experts")
    #expect(refusal(["combine": "top-k", "top-k": "5"]) == nil)
  }

  // MARK: What makes no difference

  @Test func settingsWithoutEffectAreSaidAndPutBack() throws {
    let single = try Configuration.resolve([
      layer(["gate": "none", "experts": "7", "combine": "top-k", "top-k": "3"])
    ])
    #expect(single.configuration.experts == 1)
    #expect(single.configuration.combine == .expectation)
    #expect(single.notes.count == 3)
    #expect(single.notes[0].description == "experts 7 has no effect with gate none, the single model")

    let dense = try Configuration.resolve([layer(["top-k": "9"])])
    #expect(dense.notes.map(\.description) == ["top-k 9 has no effect with combine expectation"])
    #expect(dense.configuration == (try Configuration.resolve([]).configuration))

    let partial = try Configuration.resolve([layer(["init-partial": "true"])])
    #expect(partial.notes.map(\.description) == ["init-partial true has no effect without init-from"])
  }

  @Test func augmentationIsForDataSetsThatHaveIt() throws {
    let grey = try Configuration.resolve([layer(["augment": "true"])])
    #expect(grey.notes.map(\.description) == ["augment true has no effect with dataset fashion-mnist"])
    #expect(!grey.configuration.augment)
    #expect(try Configuration.resolve([layer(["augment": "false"])]).notes.isEmpty)
    let colour: KeyValuePairs = ["dataset": "cifar-10", "model": "mnist"]
    #expect(try Configuration.resolve([layer(colour)]).configuration.augment)
    let plain = try Configuration.resolve([layer(colour), layer(["augment": "false"])])
    #expect(!plain.configuration.augment && plain.notes.isEmpty)
    let builtIn = try Configuration.resolve([
      layer(["dataset": "synthetic-rgb", "model": "mnist", "data-dir": "/d"])
    ])
    #expect(builtIn.notes.map(\.description) == ["data-dir /d has no effect with dataset synthetic-rgb"])
  }

  @Test func theSavedConfigurationOfASingleModelIsSilent() throws {
    let first = try Configuration.resolve([layer(["gate": "none", "experts": "7"])])
    let file = try ConfigurationLayer(yaml: first.configuration.yaml, file: "config.yaml")
    let second = try Configuration.resolve([file])
    #expect(second.configuration == first.configuration)
    #expect(second.notes.isEmpty)
  }

  // MARK: Checkpoints

  /// Runs of 0.1.0 have it so in their config.yaml.
  @Test func aFileMayHaveASettingsEarlierName() throws {
    let layer = try ConfigurationLayer(yaml: "watchdog: 7\n", file: "old.yaml")
    #expect(layer.entries.map(\.key) == ["stall-abort"])
    #expect(try Configuration.resolve([layer]).configuration.stallAbort == 7)
  }

  @Test func aCheckpointKeepsWhatDeterminesValues() throws {
    let resolved = try Configuration.resolve([
      layer([
        "combine": "top-k", "top-k": "2", "experts": "8", "learning-rate": "0.003",
        "seed": "18446744073709551615",
        "epochs": "3", "payload": "index", "placement": "0,0,0,0,0,0,0,0",
      ])
    ]).configuration
    let text = resolved.valueKeysJSON()
    let back = try Configuration(valueKeysJSON: text)
    #expect(back.valueKeysJSON() == text)
    #expect(back.experts == 8 && back.topK == 2 && back.learningRate == 0.003 && back.seed == .max)
    for key in [
      "epochs", "payload", "placement", "data-dir", "init-from", "run-dir", "max-steps", "stall-abort",
    ] {
      #expect(!text.contains("\"\(key)\""), "\(key) changes no value")
    }
  }

  /// A checkpoint of version 0.1.0 says nothing of what came later; what it must say may not be missing.
  @Test func aCheckpointOfTheFirstVersionIsRead() throws {
    let text = Configuration().valueKeysJSON()
    let first = text.replacing("\"products\":\"own\",", with: "")
    #expect(first != text)
    #expect(try Configuration(valueKeysJSON: first).products == .own)
    let damaged = text.replacing("\"seed\":\"0\",", with: "")
    #expect(damaged != text)
    #expect(refusal { _ = try Configuration(valueKeysJSON: damaged) }?.code == .badData)
  }

  @Test(arguments: [
    "", "[]", "{\"experts\":5}", "{\"experts\":\"5\"}", "{\"epochs\":\"5\"}", "{\"exprts\":\"5\"}",
    "{\"experts\":\"0\"}",
  ])
  func aStrangeCheckpointConfigurationIsBadData(text: String) {
    #expect(refusal { _ = try Configuration(valueKeysJSON: text) }?.code == .badData)
  }

  @Test func aResumedRunTakesValuesFromTheCheckpointAndTheRestFromItsDirectory() throws {
    let first = try Configuration.resolve([
      layer([
        "dataset": "mnist", "experts": "3", "epochs": "4", "payload": "index", "init-from": "w.safetensors",
      ])
    ]).configuration
    let stored = try Configuration(valueKeysJSON: first.valueKeysJSON())
    let earlier = try ConfigurationLayer(yaml: first.yaml, file: "config.yaml")
    func resume(_ pairs: KeyValuePairs<String, String>) throws -> ResolvedConfiguration {
      try Configuration.resuming(from: stored, earlier: earlier, [layer(pairs)], checkpoint: "checkpoint-4")
    }
    #expect(try resume([:]).configuration == first)
    let longer = try resume(["epochs": "9", "placement": "round-robin", "experts": "3"])
    #expect(longer.configuration.epochs == 9 && longer.configuration.placement == "round-robin")
    #expect(longer.configuration.experts == 3 && longer.configuration.payload == .index)
    let other = refusal { _ = try resume(["experts": "4"]) }
    #expect(other?.code == .usage)
    #expect(
      other?.message.hasPrefix("experts 4 differs from checkpoint-4, which was trained with experts 3")
        == true)
    #expect(refusal { _ = try resume(["dataset": "fashion-mnist"]) }?.code == .usage)
    #expect(refusal { _ = try resume(["no": "1"]) }?.code == .usage)
    #expect(
      try resume(["init-from": "x"]).notes.map(\.description) == [
        "init-from x has no effect on a resumed run"
      ])
  }

  /// Whether it means that number is asked of the data, by `checkScale`.
  @Test func aScaleGivenAsDatasetKeepsTheCheckpointsNumber() throws {
    let first = try Configuration.resolve([
      layer(["similarity": "5", "similarity-scale": "3.25"])
    ]).configuration
    let stored = try Configuration(valueKeysJSON: first.valueKeysJSON())
    let none = ConfigurationLayer(entries: [])
    func resume(_ pairs: KeyValuePairs<String, String>) throws -> String {
      try Configuration.resuming(from: stored, earlier: none, [layer(pairs)], checkpoint: "c")
        .configuration.similarityScale
    }
    #expect(try resume([:]) == "3.25")
    #expect(try resume(["similarity-scale": "3.25"]) == "3.25")
    #expect(try resume(["similarity-scale": "03.250"]) == "3.25")
    #expect(try resume(["similarity-scale": "dataset"]) == "3.25")
    #expect(refusal { _ = try resume(["similarity-scale": "batch-max"]) }?.code == .usage)
    #expect(refusal { _ = try resume(["similarity-scale": "3"]) }?.code == .usage)
  }

  @Test func givenWeightsOfTopKMustAgreeWithTheCheckpoint() throws {
    let first = try Configuration.resolve([
      layer(["combine": "top-k", "top-k": "2", "top-k-weights": "full"])
    ]).configuration
    let stored = try Configuration(valueKeysJSON: first.valueKeysJSON())
    let none = ConfigurationLayer(entries: [])
    let again = try Configuration.resuming(
      from: stored, earlier: none, [layer(["combine": "top-k", "top-k": "2"])], checkpoint: "c")
    #expect(again.configuration.topKWeights == .full)
    #expect(
      refusal {
        _ = try Configuration.resuming(
          from: stored, earlier: none, [layer(["top-k-weights": "renormalised"])], checkpoint: "c")
      }?.code == .usage)
  }

  /// With the scaling of the authors the default scale is none; a run that had another keeps it.
  @Test func aScaleThatWasGivenSurvivesAResumeWithoutIt() throws {
    let first = try Configuration.resolve([
      layer(["similarity": "3", "similarity-scaling": "authors", "similarity-scale": "7.5"])
    ]).configuration
    let stored = try Configuration(valueKeysJSON: first.valueKeysJSON())
    let earlier = try ConfigurationLayer(yaml: first.yaml, file: "config.yaml")
    for given in [layer([:]), layer(["similarity-scaling": "authors", "similarity": "3"])] {
      let again = try Configuration.resuming(from: stored, earlier: earlier, [given], checkpoint: "c")
      #expect(again.configuration == first)
    }
  }

  /// The checkpoint has the mean distance as a number; the word for it may be given again, and is checked with the data.
  @Test func theScaleOfTheDataMayBeGivenAgain() throws {
    let data = try SyntheticClusters().load(DataOptions(environment: [:]))
    let first = try Configuration.resolve([layer(["dataset": "synthetic", "similarity": "3"])]).configuration
      .resolvingScale(of: data)
    #expect(Double(first.similarityScale) != nil)
    let stored = try Configuration(valueKeysJSON: first.valueKeysJSON())
    let words = layer(["similarity-scale": "dataset"])
    let again = try Configuration.resuming(
      from: stored, earlier: ConfigurationLayer(entries: []), [words], checkpoint: "c")
    #expect(again.configuration.similarityScale == first.similarityScale)
    try again.configuration.checkScale(again.given["similarity-scale"], against: data)
    var other = again.configuration
    other.similarityScale = "7.5"
    #expect(refusal { try other.checkScale(again.given["similarity-scale"], against: data) }?.code == .usage)
  }

  @Test func whatAFrozenPartWouldTrainHasNoEffect() throws {
    let gate = try Configuration.resolve([
      layer(["freeze": "gate", "importance": "0.5", "expert-temperature": "2"])
    ])
    #expect(gate.configuration.importance == 0 && gate.configuration.expertTemperature == 2)
    #expect(gate.notes.count == 1 && gate.notes[0].description.hasPrefix("importance 0.5 has no effect"))
    let experts = try Configuration.resolve([
      layer(["freeze": "experts", "importance": "0.5", "expert-temperature": "2"])
    ])
    #expect(experts.configuration.importance == 0.5 && experts.configuration.expertTemperature == nil)
    #expect(refusal(["distill-from": "a.safetensors", "freeze": "gate"])?.code == .usage)
  }
}

struct NearestNameTests {
  @Test(arguments: [
    ("exprts", "experts"), ("expertss", "experts"), ("epxerts", "experts"), ("batchsize", "batch-size"),
    ("Epochs", "epochs"), ("learning_rate", "learning-rate"),
  ])
  func aSlipIsRecognised(typed: String, meant: String) {
    #expect(nearestName(to: typed, among: ConfigurationSchema.settings.map(\.key)) == meant)
  }

  @Test func nothingNearIsNoSuggestion() {
    #expect(nearestName(to: "zebra", among: ConfigurationSchema.settings.map(\.key)) == nil)
    #expect(didYouMean("zebra", among: ["experts"]) == "")
    #expect(nearestName(to: "ab", among: ["ba"]) == "ba", "a swap of neighbours is one slip")
  }
}
