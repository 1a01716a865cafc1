internal import DataSets
internal import Files
internal import MoE
internal import Networks

extension ConfigurationSchema {
  /// What is learnt from.
  static let dataSettings: [Setting] = [
    .word(
      "dataset", \.dataset, .values, "NAME",
      default: "fashion-mnist, or synthetic where its files are not found",
      "The data set."
    )
    .suggesting(DataSetRegistry.all.map(\.name))
    .mostUsed(),
    .path(
      "data-dir", \.dataDirectory, .run, "DIR", default: "the usual places, see doctor",
      "Where the data set's files are."
    )
    .applies(.toFiles).ofEveryHost(),
    .path(
      "train-images", \.trainImages, .run, "FILE", default: "none", "IDX file, for \(setting: "dataset") idx."
    )
    .applies(.with("dataset", \.dataset, "idx")).ofEveryHost(),
    .path(
      "train-labels", \.trainLabels, .run, "FILE", default: "none", "IDX file, for \(setting: "dataset") idx."
    )
    .applies(.with("dataset", \.dataset, "idx")).ofEveryHost(),
    .path(
      "test-images", \.testImages, .run, "FILE", default: "none", "IDX file, for \(setting: "dataset") idx."
    )
    .applies(.with("dataset", \.dataset, "idx")).ofEveryHost(),
    .path(
      "test-labels", \.testLabels, .run, "FILE", default: "none", "IDX file, for \(setting: "dataset") idx."
    )
    .applies(.with("dataset", \.dataset, "idx")).ofEveryHost(),
    .list(
      "mean", \.mean, .values, default: "the data set's own; computed for idx", where: { _ in true },
      expected: "numbers with commas between them, one per channel",
      "Mean of the pixels as numbers from 0 to 1, per channel."
    )
    .applies(.toFiles),
    .list(
      "std", \.standardDeviation, .values, default: "the data set's own; computed for idx", where: { $0 > 0 },
      expected: "positive numbers with commas between them, one per channel",
      "Standard deviation of the pixels, per channel."
    )
    .applies(.toFiles),
    .optionalWhole(
      "train-samples", \.trainSamples, .values, in: 1...Int(Int32.max), default: "all",
      "Take only the first training samples of every class, this many in all, equally many per class."),
    .optionalWhole(
      "test-samples", \.testSamples, .values, in: 1...Int(Int32.max), default: "all",
      "Take only the first test samples of every class, this many in all, equally many per class."),
    .onOff(
      "augment", \.augment, .values,
      "Flip and crop training images at random, for data sets that are trained so: cifar-10, cifar-100."
    )
    .applies(.toAugmentedData),
    .real(
      "validation-fraction", \.validationFraction, .values, precision: .double,
      where: { (0..<1).contains($0) },
      expected: "a number from 0 to less than 1",
      "Share of the training samples held out for validation, the same share of every class; 0: none."),
  ]

  /// The networks.
  static let modelSettings: [Setting] = [
    .word(
      "model", \.model, .values, "NAME", default: "by data set", "The networks of the experts and the gate."
    )
    .suggesting(NetworkFamilies.all.map(\.name)),
    .whole(
      "layers", \.layers, .values, in: 1...64,
      "Mixture layers, one behind the other, for \(setting: "model") mlp and cifar-trunk; each has \(setting: "experts") experts."
    ).addedLater().applies(.toDeepModels),
    .whole("experts", \.experts, .values, in: 1...65_536, default: "by data set", "Number of experts.")
      .applies(.toMixtures).mostUsed(),
  ]

  /// Who chooses the experts, and how their answers become the model's.
  static let routingSettings: [Setting] = [
    .choice("gate", \.gate, .values, "What chooses the experts; none: a single model.")
      .mostUsed(),
    .choice("combine", \.combine, .values, "How the experts' answers become the model's.")
      .applies(.toMixtures, .toWeighedExperts).mostUsed(),
    .whole(
      "top-k", \.topK, .values, in: 1...65_536,
      "Experts that run per sample, for \(setting: "combine") top-k."
    )
    .applies(.toMixtures, .toWeighedExperts, .toTopK).mostUsed(),
    .choice(
      "top-k-weights", \.topKWeights, .values,
      default: "full for \(setting: "top-k") 1, otherwise renormalised",
      "Weights of the experts that run, for \(setting: "combine") top-k."
    )
    .applies(.toMixtures, .toWeighedExperts, .toTopK),
    .real(
      "noise", \.noise, .values, where: { $0 >= 0 }, expected: "a number, at least 0",
      "Noise on the gate's scores in training, for \(setting: "combine") top-k: normal, of standard deviation noise/E."
    ).addedLater().applies(.toMixtures, .toWeighedExperts, .toTopK),
    .optionalReal(
      "capacity", \.capacity, .values, "X", default: "no limit", precision: .double, where: { $0 > 0 },
      expected: "a positive number",
      "An expert takes at most capacity·k·B/E rows of a training batch, for \(setting: "combine") top-k; later rows are dropped."
    ).addedLater().applies(.toMixtures, .toWeighedExperts, .toTopK),
    .real(
      "temperature", \.temperature, .values, where: { $0 > 0 }, expected: "a positive number",
      "T of the gate's softmax(g/T)."
    )
    .applies(.toMixtures),
    .optionalReal(
      "expert-temperature", \.expertTemperature, .values, "X", default: "that of \(setting: "temperature")",
      where: { $0 > 0 }, expected: "a positive number",
      "T of the gate's softmax in the loss of the experts, which then train with the gate detached, and it with them."
    ).applies(.toMixtures, .toWeighedExperts, .withoutDistillation, .toExpertTemperature),
    .optionalWord(
      "expert-classes", \.expertClasses, .values, "C,C/C,C/…", default: "none",
      where: { ClassLists($0) != nil },
      expected: "the classes of every expert, such as 0,7/1,9/2,4/3,8/5,6, each class once",
      "The classes of every expert, for \(setting: "gate") classes, which it implies."
    )
    .applies(.with("gate", \.gate, .classes)),
  ]

  /// Weights of losses of the gate's choice, and what belongs to them.
  static let lossSettings: [Setting] =
    [
      .real(
        "importance", \.importance, .values, where: { $0 >= 0 }, expected: "a number, at least 0",
        "Weight of the importance regulariser, (std(I)/mean(I))² of the sums I of p: equal use of the experts."
      )
      .applies(.toGateLoss),
      .real(
        "similarity", \.similarity, .values, where: { $0 >= 0 }, expected: "a number, at least 0",
        """
        Weight of distances within an expert: similar samples to one expert. Acts with \(setting: "dissimilarity") as one weight, \
        similarity/E + dissimilarity/(E²−E).
        """
      )
      .applies(.toGateLoss),
      .real(
        "dissimilarity", \.dissimilarity, .values, where: { $0 >= 0 }, expected: "a number, at least 0",
        "Weight of distances between experts; see \(setting: "similarity")."
      )
      .applies(.toGateLoss),
      .choice(
        "similarity-scaling", \.similarityScaling, .values,
        "Divide both similarity terms by the pairs of the batch, or as the authors' code does."
      )
      .applies(.toGateLoss, .toSimilarity),
      .choice("similarity-distance", \.similarityDistance, .values, "Distance between two samples.")
        .applies(.toGateLoss, .toSimilarity),
      .word(
        "similarity-scale", \.similarityScale, .values, "dataset|batch-max|none|X",
        default: "dataset; with the scaling authors none, on CIFAR batch-max",
        where: { Configuration.isSimilarityScale($0) },
        expected: "dataset, batch-max, none or a positive number",
        "What distances are divided by; dataset: the mean distance of the first 1000 training samples."
      )
      .applies(.toGateLoss, .toSimilarity),
    ] + RoutingLossSetting.all.compactMap(\.setting)
}
