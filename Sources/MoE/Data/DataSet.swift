/// Height, width and channels of an image; a row of bytes is channel-major (C, H, W), as PyTorch flattens it.
public struct ImageShape: Equatable, Sendable {
  public let channels: Int
  public let height: Int
  public let width: Int

  public init(channels: Int, height: Int, width: Int) {
    self.channels = channels
    self.height = height
    self.width = width
  }

  /// Bytes of an image.
  public var pixels: Int { channels * height * width }
}

/// Labelled images of one file pair, as raw bytes.
public final class ImageSet: Sendable {
  public let shape: ImageShape
  /// count × shape.pixels bytes, one image after the other.
  public let images: [UInt8]
  /// The class of every image.
  public let labels: [UInt8]
  public var count: Int { labels.count }

  public init(shape: ImageShape, images: [UInt8], labels: [UInt8]) {
    precondition(images.count == labels.count * shape.pixels, "every image needs a label")
    self.shape = shape
    self.images = images
    self.labels = labels
  }
}

/// A data set as the trainer sees it: two image sets, the number of classes, and how bytes become floats.
public struct DataSet: Sendable {
  public let name: String
  public let classes: Int
  public let classNames: [String]
  public let train: ImageSet
  public let test: ImageSet
  /// Per channel; a byte b becomes (b/255 − mean) / standardDeviation.
  public let mean: [Double]
  public let standardDeviation: [Double]
  /// SHA-256 of what was loaded, by part, in hexadecimal: train-images, train-labels, test-images, test-labels.
  public let fingerprints: [String: String]
  /// Where the files were found; empty for a built-in task.
  public let location: String
  /// Warnings about the data, one line each.
  public let notes: [String]

  public init(
    name: String, classes: Int, classNames: [String], train: ImageSet, test: ImageSet, mean: [Double],
    standardDeviation: [Double], fingerprints: [String: String], location: String, notes: [String]
  ) {
    self.name = name
    self.classes = classes
    self.classNames = classNames
    self.train = train
    self.test = test
    self.mean = mean
    self.standardDeviation = standardDeviation
    self.fingerprints = fingerprints
    self.location = location
    self.notes = notes
  }
}
