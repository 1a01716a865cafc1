public import Files
import Glibc

/// What a data set is trained with unless the user says otherwise.
public struct DataSetDefaults: Equatable, Sendable {
  public let experts: Int
  /// Name of a network family.
  public let model: String
  public let epochs: Int
  public let batchSize: Int
  public let learningRate: Double

  public init(experts: Int, model: String, epochs: Int, batchSize: Int, learningRate: Double) {
    self.experts = experts
    self.model = model
    self.epochs = epochs
    self.batchSize = batchSize
    self.learningRate = learningRate
  }
}

/// Where data are looked for and how pixels are normalised, as the user chose.
public struct DataOptions: Sendable {
  /// `--data-dir`.
  public var dataDirectory: String?
  /// Paths of the four files, for `idx`: all of them or none.
  public var files: [DataPart: String] = [:]
  /// Per channel, instead of the data set's own.
  public var mean: [Double]?
  public var standardDeviation: [Double]?
  /// The process's environment; `MOE_DIST_DATA`, `XDG_CACHE_HOME` and `HOME` are read.
  public var environment: [String: String]
  /// The first training and test samples, equally many per class, see ``DataSetSource/load(_:)``; nil: all.
  public var trainSamples: Int?
  public var testSamples: Int?
  /// Whether training images are changed at random, where the data set has that.
  public var augment = true
  /// Where packages of the operating system put data sets.
  public var systemDirectory = "/usr/share/datasets"
  /// Whether files are looked for in `<dataDirectory>/<name>` only: for a data set that needs those of two others.
  var searchesFoldersOnly = false

  public init(dataDirectory: String? = nil, environment: [String: String]) {
    self.dataDirectory = dataDirectory
    self.environment = environment
  }
}

/// A data set by name: what it is trained with, where it lies, and how it is read.
public protocol DataSetSource: Sendable {
  /// The word after `--dataset`.
  var name: String { get }
  /// One line for help texts and `data list`.
  var summary: String { get }
  var defaults: DataSetDefaults { get }
  /// SHA-256 of the published files, decompressed; empty where there is no canonical file.
  var knownFingerprints: [DataPart: String] { get }
  /// How training images are changed at random; nil: not at all.
  var augmentation: Augmentation? { get }
  /// The size of the published data; nil where only the files tell.
  var publishedSize: DataSetSize? { get }
  /// Where it can be fetched from; nil for one that is not fetched as a whole, or needs no files.
  var publication: Publication? { get }
  /// What to do where the files are not found.
  var advice: Message { get }
  /// Where the files are; nil for a task that needs none.
  func search(_ options: DataOptions) -> DataSetSearch?
  /// Reads all of the data, for ``load(_:)``.
  /// - Throws: `Failure`: `.notFound` with the places that were searched, `.badData` for a malformed file,
  ///   `.inputOutput` for a failing disk, `.usage` for options that contradict each other.
  func read(_ options: DataOptions) throws(Failure) -> DataSet
}

extension DataSetSource {
  public var knownFingerprints: [DataPart: String] { [:] }
  public var augmentation: Augmentation? { nil }
  public var publishedSize: DataSetSize? { nil }
  public var publication: Publication? { nil }
  public func search(_ options: DataOptions) -> DataSetSearch? { DataSetSearch(name: name, options: options) }

  /// Whether the data are made, not read.
  public var isBuiltIn: Bool { search(DataOptions(environment: [:])) == nil }

  /// The data as the options want them: all samples, or the first of every class in file order.
  ///
  /// Of N samples for C classes that have samples every one has ⌊N/C⌋, and each of the lowest N mod C classes one more; they
  /// keep their order and are counted from 0. Computed means and deviations, and fingerprints, are those of the whole files.
  /// - Throws: what ``read(_:)`` throws, `Failure(.usage, …)` where a class has fewer samples, and `Failure(.notFound, …)`
  ///   where the data directory that was chosen does not exist.
  public func load(_ options: DataOptions) throws(Failure) -> DataSet {
    if let directory = options.dataDirectory, !isBuiltIn, !SafeFile.isDirectory(directory) {
      throw Failure(
        .notFound,
        "\(setting: "data-dir", directory): there is no such directory; name the one that has the files of \(name), or leave it out "
          + "for the usual places")
    }
    var data = try read(options)
    data.notes += [
      data.train.note(options.trainSamples, of: data, setting: "train-samples"),
      data.test.note(options.testSamples, of: data, setting: "test-samples"),
    ].compactMap { $0 }
    data.train = try data.train.first(options.trainSamples, of: data, setting: "train-samples")
    data.test = try data.test.first(options.testSamples, of: data, setting: "test-samples")
    if options.augment { data.augmentation = augmentation }
    return data
  }
}

/// The one list of data sets: a new one is a file with its source, and a line here.
public enum DataSetRegistry {
  public static let all: [any DataSetSource] = [
    FashionMNIST(),
    MNIST(),
    FashionMNISTAndMNIST(),
    CIFAR10(),
    CIFAR100(),
    IDXPair(),
    SyntheticClusters(),
    SyntheticRGB(),
  ]

  /// - Throws: `Failure(.usage, …)` that names the known data sets.
  public static func source(named name: String) throws(Failure) -> any DataSetSource {
    guard let source = all.first(where: { $0.name == name }) else {
      let known = all.map(\.name).joined(separator: ", ")
      throw Failure(.usage, "unknown data set '\(name)'; known are \(known)")
    }
    return source
  }
}
