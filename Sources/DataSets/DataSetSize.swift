public import Numerics

/// What is known of a data set without its files: enough to plan a run and to measure one on random images.
public struct DataSetSize: Equatable, Sendable {
  public let shape: ImageShape
  public let classes: Int
  public let trainingSamples: Int
  public let testSamples: Int

  public init(shape: ImageShape, classes: Int, trainingSamples: Int, testSamples: Int) {
    self.shape = shape
    self.classes = classes
    self.trainingSamples = trainingSamples
    self.testSamples = testSamples
  }

  /// The size of data that have been read.
  public init(_ data: DataSet) {
    self.init(
      shape: data.train.shape, classes: data.classes, trainingSamples: data.train.count,
      testSamples: data.test.count)
  }
}
