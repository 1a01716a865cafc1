public import Files

/// The data set `synthetic`: 12 000 + 2 000 samples of ``SyntheticTask``.
public struct SyntheticClusters: DataSetSource {
  public let name = "synthetic"
  public let summary =
    "built in: five clusters of two classes with a known best decomposition, 12 000 + 2 000"
  public let defaults = DataSetDefaults(
    experts: 5, model: "mnist", epochs: 10, batchSize: 128, learningRate: 1e-3)
  /// Samples in the two sets; they do not overlap.
  package var trainCount = 12_000
  package var testCount = 2_000

  public let advice: Message = "it is built in"
  public var publishedSize: DataSetSize? {
    DataSetSize(
      shape: SyntheticTask.shape, classes: SyntheticTask.classes, trainingSamples: trainCount,
      testSamples: testCount)
  }

  public init() {}

  public func search(_ options: DataOptions) -> DataSetSearch? { nil }

  public func read(_ options: DataOptions) throws(Failure) -> DataSet {
    let train = SyntheticTask.images(0..<trainCount)
    // The test samples begin where no training set reaches, so that they do not depend on its size.
    let test = SyntheticTask.images(1_000_000_000..<1_000_000_000 + testCount)
    let pixels = try normalisation(options, published: nil, of: train)
    return DataSet(
      name: name, classes: SyntheticTask.classes,
      classNames: (0..<SyntheticTask.classes).map {
        "cluster \(SyntheticTask.cluster(ofClass: $0)) \($0 < SyntheticTask.clusters ? "−" : "+")"
      },
      train: train, test: test, mean: pixels.mean,
      standardDeviation: pixels.standardDeviation,
      fingerprints: [
        DataPart.trainImages.rawValue: sha256(train.images),
        DataPart.trainLabels.rawValue: sha256(train.labels),
        DataPart.testImages.rawValue: sha256(test.images), DataPart.testLabels.rawValue: sha256(test.labels),
      ], location: "", notes: pixels.notes)
  }
}
