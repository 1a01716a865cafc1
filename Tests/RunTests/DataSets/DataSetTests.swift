import DataSets
import Files
import Foundation
import Numerics
import TestSupport
import Testing

/// Options that find nothing on the machine unless the test puts it there.
private func options(_ directory: String?, _ environment: [String: String] = [:]) -> DataOptions {
  var options = DataOptions(dataDirectory: directory, environment: environment)
  options.systemDirectory = "/nonexistent"
  return options
}

@Suite struct DataSetTests {
  private let fashion: any DataSetSource
  private let idxPair: any DataSetSource

  init() throws {
    fashion = try DataSetRegistry.source(named: "fashion-mnist")
    idxPair = try DataSetRegistry.source(named: "idx")
  }

  /// Four small files with the canonical names.
  private func writeSet(
    in directory: TemporaryDirectory, _ folder: String = "", side: Int = 28, labels: [UInt8] = [0, 9, 4],
    suffix: String = ""
  ) {
    let prefix = folder.isEmpty ? "" : folder + "/"
    for part in DataPart.allCases {
      let isImages = part == .trainImages || part == .testImages
      let bytes = isImages ? idxImages(labels.count, side, side) : idxLabels(labels)
      directory.write(prefix + part.fileNames[0] + suffix, suffix == ".gz" ? gzip(bytes) : bytes)
    }
  }

  // MARK: The list

  @Test func namesAreUniqueAndKnown() throws {
    let names = DataSetRegistry.all.map(\.name)
    #expect(Set(names).count == names.count)
    #expect(
      Set(names).isSuperset(of: [
        "fashion-mnist", "mnist", "fashion-mnist+mnist", "cifar-10", "cifar-100", "idx", "synthetic",
        "synthetic-rgb",
      ]))
    for name in names { #expect(try DataSetRegistry.source(named: name).name == name) }
    let (found, _) = failure { _ = try DataSetRegistry.source(named: "minst") }
    #expect(found?.code == .usage)
    #expect(found?.message.contains("mnist") == true)
  }

  @Test func defaultsAreThoseOfTheMethod() throws {
    let expected = ["fashion-mnist": "fashion-mnist", "mnist": "mnist"]
    for (name, model) in expected {
      let source = try DataSetRegistry.source(named: name)
      #expect(
        source.defaults
          == DataSetDefaults(experts: 5, model: model, epochs: 20, batchSize: 512, learningRate: 1e-3))
    }
  }

  // MARK: Search

  @Test func searchesInTheOrderOfTheContract() {
    let directory = TemporaryDirectory()
    let root = directory.path
    var options = DataOptions(
      dataDirectory: root + "/given",
      environment: ["MOE_DIST_DATA": root + "/root", "XDG_CACHE_HOME": root + "/xdg"])
    options.systemDirectory = root + "/system"
    let order = [
      "given", "given/fashion-mnist", "root/fashion-mnist", "system/fashion-mnist",
      "xdg/moe-dist/fashion-mnist",
    ]
    #expect(fashion.search(options)?.places.map(\.directory) == order.map { root + "/" + $0 })
    #expect(fashion.search(options)?.directory == nil)
    // From the last to the first: each takes precedence over those after it.
    for place in order.reversed() {
      writeSet(in: directory, place, suffix: place.hasPrefix("root") ? ".gz" : "")
      #expect(fashion.search(options)?.directory == root + "/" + place)
    }
    options = DataOptions(environment: ["HOME": "/home/u"])
    #expect(
      fashion.search(options)?.places.map(\.directory)
        == ["/usr/share/datasets/fashion-mnist", "/home/u/.cache/moe-dist/fashion-mnist"])
  }

  @Test func prefersPlainFilesAndKnowsTheOtherSpelling() {
    let directory = TemporaryDirectory()
    writeSet(in: directory, suffix: ".gz")
    directory.write("train-labels-idx1-ubyte", idxLabels([1, 1, 1]))
    try? FileManager.default.removeItem(atPath: directory.path + "/t10k-images-idx3-ubyte.gz")
    directory.write("t10k-images.idx3-ubyte", idxImages(3, 28, 28))
    let files = fashion.search(options(directory.path))?.files
    #expect(files?[.trainImages] == directory.path + "/train-images-idx3-ubyte.gz")
    #expect(files?[.trainLabels] == directory.path + "/train-labels-idx1-ubyte")
    #expect(files?[.testImages] == directory.path + "/t10k-images.idx3-ubyte")
  }

  @Test func missingFilesAreNotFoundWithThePlaces() {
    let directory = TemporaryDirectory()
    directory.write("train-images-idx3-ubyte", [])
    let (found, _) = failure { _ = try fashion.load(options(directory.path, ["HOME": "/home/u"])) }
    #expect(found?.code == .notFound)
    for word in [
      directory.path + " (lacks train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte)",
      directory.path + "/fashion-mnist", "/nonexistent/fashion-mnist",
      "/home/u/.cache/moe-dist/fashion-mnist",
      "apt-get install dataset-fashion-mnist",
    ] {
      #expect(found?.message.contains(word) == true, "\(word)")
    }
  }

  @Test func saysWhenTheChosenDirectoryWasNotTaken() throws {
    let directory = TemporaryDirectory()
    writeSet(in: directory, "root/idx")
    directory.write("other/notes.txt", [])
    let root = ["MOE_DIST_DATA": directory.path + "/root"]
    let data = try idxPair.load(options(directory.path + "/other", root))
    #expect(data.location == directory.path + "/root/idx")
    #expect(data.notes[0].description.contains(directory.path + "/other"))
    let (found, _) = failure { _ = try idxPair.load(options(directory.path + "/typo", root)) }
    #expect(found?.code == .notFound && found?.message.contains(directory.path + "/typo") == true)
  }

  // MARK: Known sets

  @Test func aValidFileThatIsNotThePublishedOneIsANote() throws {
    let directory = TemporaryDirectory()
    writeSet(in: directory)
    let data = try fashion.load(options(directory.path))
    #expect(data.train.count == 3 && data.classes == 10 && data.classNames[9] == "Ankle boot")
    #expect(data.notes.count == 4)
    #expect(data.notes[0].description.contains("train-images-idx3-ubyte is not the published file"))
    #expect(data.fingerprints["train-labels"] == sha256(idxLabels([0, 9, 4])))
    #expect(data.mean == [0.2859] && data.standardDeviation == [0.3530])
  }

  @Test func knownSetsHaveTheirShapeAndClasses() {
    for (side, labels) in [(27, [0, 1, 2]), (28, [0, 1, 10])] as [(Int, [UInt8])] {
      let directory = TemporaryDirectory()
      writeSet(in: directory, side: side, labels: labels)
      let (found, _) = failure { _ = try fashion.load(options(directory.path)) }
      #expect(found?.code == .badData)
    }
  }

  // MARK: idx

  @Test func idxTakesSizesAndClassesFromTheFiles() throws {
    let directory = TemporaryDirectory()
    var options = options(nil)
    options.files = [
      .trainImages: directory.write("a", idxImages(4, 1, 2, [0, 255, 0, 255, 51, 51, 204, 204])),
      .trainLabels: directory.write("b", gzip(idxLabels([0, 6, 2, 2]))),
      .testImages: directory.write("c", idxImages(1, 1, 2)),
      .testLabels: directory.write("d", idxLabels([5])),
    ]
    let data = try idxPair.load(options)
    #expect(data.classes == 7 && data.classNames == ["0", "1", "2", "3", "4", "5", "6"])
    #expect(data.train.shape == ImageShape(channels: 1, height: 1, width: 2))
    // Pixels 0, 1, 0, 1, .2, .2, .8, .8: mean 1/2, variance (4·.25 + 4·.09)/8 = .17.
    #expect(abs(data.mean[0] - 0.5) < 1e-15)
    #expect(abs(data.standardDeviation[0] - 0.17.squareRoot()) < 1e-15)
    #expect(
      data.notes.map(\.description) == [
        "idx: labels go up to 6, so the model has 7 classes; no training image has label 1 and 3 more"
      ])
    options.mean = [0.25]
    options.standardDeviation = [2]
    #expect(try idxPair.load(options).mean == [0.25])
    #expect(try idxPair.load(options).standardDeviation == [2])
  }

  @Test func idxRefusesTestFilesThatDoNotFit() {
    let directory = TemporaryDirectory()
    var options = options(nil)
    options.files = [
      .trainImages: directory.write("a", idxImages(2, 3, 3)),
      .trainLabels: directory.write("b", idxLabels([0, 1])),
      .testImages: directory.write("c", idxImages(2, 3, 3)),
      .testLabels: directory.write("d", idxLabels([1, 2])),
    ]
    #expect(failure { _ = try idxPair.load(options) }.failure?.message.contains("below 2") == true)
    options.files[.testLabels] = options.files[.trainLabels]
    options.files[.testImages] = directory.write("e", idxImages(2, 3, 4))
    #expect(failure { _ = try idxPair.load(options) }.failure?.message.contains("3 × 3") == true)
    options.files[.testImages] = nil
    let (found, _) = failure { _ = try idxPair.load(options) }
    #expect(found?.code == .usage)
    #expect(found?.message.contains("test-images") == true)
  }

  @Test func refusesImpossibleNormalisation() {
    let directory = TemporaryDirectory()
    writeSet(in: directory)
    for (mean, deviation) in [([0, 0], [1]), ([.nan], [1]), ([0], [0]), ([0], [-1]), ([0], [])]
      as [([Double], [Double])]
    {
      var options = options(directory.path)
      options.mean = mean
      options.standardDeviation = deviation
      #expect(failure { _ = try idxPair.load(options) }.failure?.code == .usage)
    }
  }

  @Test func imagesWithoutContrastAreDividedByOne() throws {
    let directory = TemporaryDirectory()
    writeSet(in: directory)
    directory.write("train-images-idx3-ubyte", idxImages(3, 28, 28, [UInt8](repeating: 51, count: 3 * 784)))
    let data = try idxPair.load(options(directory.path))
    #expect(abs(data.mean[0] - 0.2) < 1e-15 && data.standardDeviation == [1])
    #expect(data.notes.contains { $0.description.contains("all training pixels are equal") })
  }

  // MARK: Files on this machine

  @Test(
    .enabled(
      if: DataSetRegistry.all[0].search(DataOptions(environment: ProcessInfo.processInfo.environment))?
        .directory
        != nil))
  func fashionMNISTIsAsPublished() throws {
    try expectPublished("fashion-mnist", perClass: [Int](repeating: 6000, count: 10))
  }

  @Test(
    .enabled(
      if: DataSetRegistry.all[1].search(DataOptions(environment: ProcessInfo.processInfo.environment))?
        .directory
        != nil))
  func mnistIsAsPublished() throws {
    try expectPublished("mnist", perClass: [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949])
  }

  private func expectPublished(_ name: String, perClass: [Int]) throws {
    let source = try DataSetRegistry.source(named: name)
    let environment = ProcessInfo.processInfo.environment
    let data = try source.load(DataOptions(environment: environment))
    #expect(data.train.count == 60_000 && data.test.count == 10_000)
    #expect(data.train.shape == ImageShape(channels: 1, height: 28, width: 28))
    #expect(data.notes.isEmpty)
    for part in DataPart.allCases {
      #expect(data.fingerprints[part.rawValue] == source.knownFingerprints[part])
    }
    for label in 0..<10 {
      #expect(data.train.labels.filter { $0 == UInt8(label) }.count == perClass[label])
    }
    // The published figures are those of the training images, rounded to four digits.
    var options = DataOptions(environment: environment)
    let search = try #require(source.search(options))
    options.files = search.files
    let computed = try idxPair.load(options)
    #expect(abs(computed.mean[0] - data.mean[0]) < 2e-4)
    #expect(abs(computed.standardDeviation[0] - data.standardDeviation[0]) < 2e-4)
  }
}
