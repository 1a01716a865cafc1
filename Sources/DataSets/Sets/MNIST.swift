internal import Files
internal import Numerics

/// MNIST: 60 000 + 10 000 handwritten digits (LeCun, Cortes, Burges 1998).
struct MNIST: DataSetSource {
  let name = "mnist"
  let summary = "28 × 28 handwritten digits, 10 classes, 60 000 + 10 000"
  let publishedSize: DataSetSize? = DataSetSize(
    shape: ImageShape(channels: 1, height: 28, width: 28), classes: 10, trainingSamples: 60_000,
    testSamples: 10_000)
  let defaults = DataSetDefaults(experts: 5, model: "mnist", epochs: 20, batchSize: 512, learningRate: 1e-3)
  let knownFingerprints: [DataPart: String] = [
    .trainImages: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    .trainLabels: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    .testImages: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    .testLabels: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
  ]

  let advice: Message =
    "run 'moe-dist data fetch mnist', put MNIST's four IDX files into one of these directories, or use \(setting: "dataset") synthetic"
  var publication: Publication? {
    .idx(
      [
        "https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist",
      ],
      sizes: [
        .trainImages: 9_912_422, .trainLabels: 28_881, .testImages: 1_648_877, .testLabels: 4_542,
      ], contents: knownFingerprints)
  }

  func read(_ options: DataOptions) throws(Failure) -> DataSet {
    try readIDX(
      options,
      facts: IDXFacts(
        classNames: (0..<10).map { String($0) }, shape: ImageShape(channels: 1, height: 28, width: 28),
        mean: 0.1307, standardDeviation: 0.3081))
  }
}
