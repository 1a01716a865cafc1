public import Files
public import Numerics

/// Labelled images, as raw bytes.
public final class ImageSet: Sendable {
  public let shape: ImageShape
  /// count × shape.pixels bytes, one image after the other.
  public let images: ImageBytes
  /// The class of every image.
  public let labels: [UInt8]
  /// The coarse class of every image, where the data have two levels of classes.
  public let coarseLabels: [UInt8]?
  public var count: Int { labels.count }

  public init(shape: ImageShape, images: ImageBytes, labels: [UInt8], coarseLabels: [UInt8]? = nil) {
    precondition(images.count == labels.count * shape.pixels, "every image needs a label")
    precondition(coarseLabels.map { $0.count == labels.count } ?? true, "every image needs a coarse label")
    self.shape = shape
    self.images = images
    self.labels = labels
    self.coarseLabels = coarseLabels
  }

  public convenience init(shape: ImageShape, images: [UInt8], labels: [UInt8], coarseLabels: [UInt8]? = nil) {
    self.init(shape: shape, images: ImageBytes(images), labels: labels, coarseLabels: coarseLabels)
  }
}

/// A data set as the trainer sees it: two image sets, the number of classes, and how bytes become floats.
public struct DataSet: Sendable {
  public let name: String
  public let classes: Int
  public let classNames: [String]
  /// Names of the coarse classes, where the data have two levels of classes; nil together with ``coarseOfClass``.
  public let coarseNames: [String]?
  /// The coarse class of every class.
  public let coarseOfClass: [Int]?
  public internal(set) var train: ImageSet
  public internal(set) var test: ImageSet
  /// Per channel; a byte b becomes (b/255 − mean) / standardDeviation.
  public let mean: [Double]
  public let standardDeviation: [Double]
  /// How training images are changed at random; nil: not at all.
  public internal(set) var augmentation: Augmentation?
  /// SHA-256 of what was loaded, decompressed, in hexadecimal, by part: train-images, train-labels, test-images and
  /// test-labels for IDX and built-in data, the files' names without `.bin` for CIFAR.
  public let fingerprints: [String: String]
  /// Where the files were found; empty for a built-in task.
  public let location: String
  /// Warnings about the data, one line each.
  public internal(set) var notes: [Message]

  public init(
    name: String, classes: Int, classNames: [String], train: ImageSet, test: ImageSet, mean: [Double],
    standardDeviation: [Double], fingerprints: [String: String], location: String, notes: [Message],
    coarseNames: [String]? = nil, coarseOfClass: [Int]? = nil, augmentation: Augmentation? = nil
  ) {
    precondition(coarseOfClass.map { $0.count == classes } ?? true, "every class has a coarse class")
    precondition((coarseNames == nil) == (coarseOfClass == nil), "coarse classes have names")
    self.name = name
    self.classes = classes
    self.classNames = classNames
    self.coarseNames = coarseNames
    self.coarseOfClass = coarseOfClass
    self.augmentation = augmentation
    self.train = train
    self.test = test
    self.mean = mean
    self.standardDeviation = standardDeviation
    self.fingerprints = fingerprints
    self.location = location
    self.notes = notes
  }
}
