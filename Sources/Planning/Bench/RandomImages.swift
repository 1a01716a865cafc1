package import DataSets
internal import Numerics

/// Labelled noise of a data set's size: what a step costs does not depend on what the images show.
package func randomImages(
  _ size: DataSetSize, samples: Int, augmentation: Augmentation?
) -> DataSet {
  // xorshift64 (Marsaglia 2003), the same in every process.
  var state: UInt64 = 0x9E37_79B9_7F4A_7C15
  func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
  let bytes = (0..<samples * size.shape.pixels).map { _ in UInt8(truncatingIfNeeded: next() >> 32) }
  let labels = (0..<samples).map { UInt8($0 % size.classes) }
  let images = ImageSet(shape: size.shape, images: bytes, labels: labels)
  let channels = size.shape.channels
  return DataSet(
    name: "random", classes: size.classes, classNames: (0..<size.classes).map { String($0) }, train: images,
    test: images, mean: Array(repeating: 0.5, count: channels),
    standardDeviation: Array(repeating: 0.29, count: channels), fingerprints: [:], location: "", notes: [],
    augmentation: augmentation)
}
