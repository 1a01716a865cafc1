internal import Files
public import Numerics

/// What a model has to know of its data to answer for images: a checkpoint keeps it, so that the model goes without the data.
public struct DataDescription: Equatable, Sendable {
  public let name: String
  public let shape: ImageShape
  public let classNames: [String]
  /// Names of the coarse classes, where the data have two levels of classes; nil together with ``coarseOfClass``.
  public let coarseNames: [String]?
  public let coarseOfClass: [Int]?
  /// Whether every image has a coarse label, so that a record of the format CIFAR begins with two labels.
  public let hasCoarseLabels: Bool
  /// Per channel; a byte b becomes (b/255 − mean) / standardDeviation.
  public let mean: [Double]
  public let standardDeviation: [Double]

  public init(_ data: DataSet) {
    name = data.name
    shape = data.train.shape
    classNames = data.classNames
    coarseNames = data.coarseNames
    coarseOfClass = data.coarseOfClass
    hasCoarseLabels = data.train.coarseLabels != nil
    mean = data.mean
    standardDeviation = data.standardDeviation
  }

  /// One line of JSON; equal descriptions give equal bytes.
  public var text: String {
    func list<Item>(_ items: [Item]?, _ value: (Item) -> JSONValue) -> JSONValue {
      items.map { .array($0.map(value)) } ?? .null
    }
    let value: JSONValue = [
      "name": .string(name),
      "shape": [.integer(shape.channels), .integer(shape.height), .integer(shape.width)],
      "class_names": list(classNames) { .string($0) },
      "coarse_names": list(coarseNames) { .string($0) },
      "coarse_of_class": list(coarseOfClass) { .integer($0) },
      "has_coarse_labels": .bool(hasCoarseLabels),
      "mean": list(mean) { .number($0) },
      "std": list(standardDeviation) { .number($0) },
    ]
    return value.text()
  }

  /// Reads what ``text`` wrote.
  ///
  /// - Returns: nil for anything else.
  public init?(text: String) {
    guard let value = try? JSONValue(parsing: text), let name = value["name"]?.stringValue,
      let shape = Self.list(value["shape"], \.integerValue), shape.count == 3,
      shape.allSatisfy({ (1...1 << 16).contains($0) }),
      let classNames = Self.list(value["class_names"], \.stringValue), (1...256).contains(classNames.count),
      let mean = Self.list(value["mean"], \.numberValue),
      let deviation = Self.list(value["std"], \.numberValue),
      mean.count == shape[0], deviation.count == shape[0], (mean + deviation).allSatisfy(\.isFinite),
      deviation.allSatisfy({ $0 > 0 }), case .bool(let hasCoarseLabels)? = value["has_coarse_labels"]
    else { return nil }
    let coarseNames = Self.list(value["coarse_names"], \.stringValue)
    let coarseOfClass = Self.list(value["coarse_of_class"], \.integerValue)
    guard (coarseNames == nil) == (coarseOfClass == nil) else { return nil }
    if let coarseNames, let coarseOfClass {
      guard coarseOfClass.count == classNames.count,
        coarseOfClass.allSatisfy(coarseNames.indices.contains)
      else { return nil }
    }
    self.name = name
    self.shape = ImageShape(channels: shape[0], height: shape[1], width: shape[2])
    self.classNames = classNames
    self.coarseNames = coarseNames
    self.coarseOfClass = coarseOfClass
    self.hasCoarseLabels = hasCoarseLabels
    self.mean = mean
    standardDeviation = deviation
  }

  private static func list<Item>(_ value: JSONValue?, _ item: (JSONValue) -> Item?) -> [Item]? {
    guard case .array(let elements)? = value else { return nil }
    let items = elements.compactMap(item)
    return items.count == elements.count ? items : nil
  }

  /// The data without an image, and so without fingerprints.
  public var withoutImages: DataSet {
    let none = ImageSet(
      shape: shape, images: [UInt8](), labels: [], coarseLabels: hasCoarseLabels ? [] : nil)
    return DataSet(
      name: name, classes: classNames.count, classNames: classNames, train: none, test: none, mean: mean,
      standardDeviation: standardDeviation, fingerprints: [:], location: "", notes: [],
      coarseNames: coarseNames, coarseOfClass: coarseOfClass)
  }
}
