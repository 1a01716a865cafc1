import DataSets
import Files
import Foundation
import Numerics
import TestSupport
import Testing

/// Files as other people's programs and archives leave them.
@Suite struct DataLayoutTests {
  private let directory = TemporaryDirectory()
  private let mnist: any DataSetSource
  private let fashion: any DataSetSource
  private let both: any DataSetSource
  private let idxPair: any DataSetSource

  init() throws {
    mnist = try DataSetRegistry.source(named: "mnist")
    fashion = try DataSetRegistry.source(named: "fashion-mnist")
    both = try DataSetRegistry.source(named: "fashion-mnist+mnist")
    idxPair = try DataSetRegistry.source(named: "idx")
  }

  private func options(_ folder: String = "") -> DataOptions {
    var options = DataOptions(dataDirectory: directory.path + folder, environment: [:])
    options.systemDirectory = "/nonexistent"
    return options
  }

  private func bytes(_ part: DataPart, labels: [UInt8] = [0, 9, 4]) -> [UInt8] {
    part == .trainImages || part == .testImages ? idxImages(labels.count, 28, 28) : idxLabels(labels)
  }

  private func write(_ folder: String, suffix: String = "") {
    for part in DataPart.allCases {
      let bytes = bytes(part)
      directory.write(folder + part.fileNames[0] + suffix, suffix == ".gz" ? gzip(bytes) : bytes)
    }
  }

  private func failure(_ source: any DataSetSource, _ folder: String = "") -> Failure? {
    TestSupport.failure { _ = try source.load(options(folder)) }.failure
  }

  // MARK: Where the files are

  /// Kaggle's archive: folders of the files' names, and dotted names beside them.
  @Test func kagglesFoldersAreNoFiles() throws {
    for part in DataPart.allCases {
      directory.write("\(part.fileNames[0])/\(part.fileNames[0])", bytes(part))
    }
    let folders = try #require(mnist.search(options()))
    for part in DataPart.allCases {
      let name = part.fileNames[0]
      #expect(folders.files[part] == "\(directory.path)/\(name)/\(name)")
    }
    #expect(try mnist.load(options()).train.labels == [0, 9, 4])
    for part in DataPart.allCases { directory.write(part.fileNames[1], bytes(part)) }
    #expect(mnist.search(options())?.files[.testLabels] == directory.path + "/t10k-labels.idx1-ubyte")
    #expect(try mnist.load(options()).test.count == 3)
  }

  @Test func aFolderInTheFilesPlaceIsToldByItsName() throws {
    write("")
    let name = directory.path + "/train-labels-idx1-ubyte"
    try FileManager.default.removeItem(atPath: name)
    try FileManager.default.createDirectory(atPath: name, withIntermediateDirectories: true)
    #expect(failure(mnist)?.message == "\(name): expected a plain file, found a directory; name a file")
  }

  @Test func torchvisionsRootIsSearched() throws {
    write("MNIST/raw/")
    write("FashionMNIST/raw/", suffix: ".gz")
    #expect(mnist.search(options())?.directory == directory.path + "/MNIST/raw")
    #expect(fashion.search(options())?.directory == directory.path + "/FashionMNIST/raw")
    #expect(mnist.search(options("/MNIST"))?.directory == directory.path + "/MNIST/raw")
    #expect(mnist.search(options("/MNIST/"))?.directory == directory.path + "/MNIST//raw")
    // A folder raw of another data set is none of this one's.
    #expect(fashion.search(options("/MNIST"))?.directory == nil)
    #expect(idxPair.search(options("/MNIST"))?.directory == directory.path + "/MNIST/raw")
    // Which of several is meant is not guessed.
    #expect(idxPair.search(options())?.directory == nil)
    #expect(both.search(options())?.directory?.contains("FashionMNIST/raw, ") == true)
    // Of labels 0, 9, 4 the set takes clothes 0 and 4, and digits 9 and 4.
    #expect(try both.load(options()).train.labels == [0, 4, 11, 6])
    #expect(try fashion.load(options()).train.count == 3)
  }

  @Test func theRepositoryOfFashionMNISTIsSearched() {
    write("data/fashion/", suffix: ".gz")
    #expect(fashion.search(options())?.directory == directory.path + "/data/fashion")
  }

  // MARK: What is there in another form

  @Test(arguments: [
    ("mnist.npz", "a NumPy archive"), ("mnist_train.csv", "a table as text"), ("training.pt", "a pickle"),
    ("train-00000-of-00001.parquet", "a Parquet file"),
    ("mnist-train.tfrecord-00000-of-00001", "records of TensorFlow"),
    ("train-images-idx3-ubyte.xz", "'xz -dk'"), ("archive.zip", "an archive; unpack it"),
    ("emnist-letters-train-images-idx3-ubyte.gz", "name the four files of one by dataset idx train-images"),
    ("train/0/1.png", "folders of pictures"),
  ])
  func otherFormsAreToldByTheirNames(name: String, words: String) {
    directory.write(name, [1])
    let found = failure(mnist)
    #expect(found?.code == .badData)
    let first = name.split(separator: "/")[0]
    #expect(found?.message.contains("\(directory.path) has \(first)") == true, "\(found?.message ?? "")")
    #expect(found?.message.contains(words) == true, "\(found?.message ?? "")")
  }

  @Test(arguments: ["cifar-10-batches-py/data_batch_1", "cifar-100-python/train", "data_batch_1"])
  func cifarForPythonIsNotRead(name: String) throws {
    directory.write(name, [0x80, 2])
    let found = failure(try DataSetRegistry.source(named: "cifar-10"))
    #expect(found?.code == .badData && found?.message.contains("pickles, which may run code") == true)
  }

  /// What lies elsewhere than where the user said is nobody's business.
  @Test func otherFilesAreNotLookedAtWithoutADirectory() {
    directory.write("mnist/mnist.npz", [1])
    var options = DataOptions(environment: ["MOE_DIST_DATA": directory.path])
    options.systemDirectory = "/nonexistent"
    #expect(TestSupport.failure { _ = try mnist.load(options) }.failure?.code == .notFound)
  }

  // MARK: Types of elements

  private func pair(_ images: [UInt8], _ labels: [UInt8]) throws -> ImageSet {
    try ImageSet.readIDX(images: directory.write("i", images), labels: directory.write("l", labels)).set
  }

  /// 0, 26 and 255, and what comes before and after, in every type of whole numbers.
  @Test func labelsOfAnyWholeTypeAreRead() throws {
    let images = idxImages(3, 2, 2)
    #expect(try pair(images, idx([0x901, 3], [0, 26, 127])).labels == [0, 26, 127])
    #expect(try pair(images, idx([0xB01, 3], [0, 0, 0, 26, 0, 255])).labels == [0, 26, 255])
    #expect(try pair(images, gzip(idx([0xC01, 3, 0, 26, 255]))).labels == [0, 26, 255])
    for (labels, word) in [
      (idx([0x901, 3], [0, 1, 0xFF]), "at byte 10: expected a label of 0 to 255, found -1"),
      (idx([0xB01, 3], [0, 0, 1, 0, 0, 0]), "at byte 10: expected a label of 0 to 255, found 256"),
      (idx([0xC01, 3, 0, .max, 0]), "at byte 12: expected a label of 0 to 255, found -1"),
      (idx([0xC01, 3, 0, 0]), "truncated"),
      (idx([0xD01, 3, 0, 0, 0]), "(32-bit floats of 1 dimension"),
      (idx([0xC02, 3, 8], [UInt8](repeating: 0, count: 96)), "(32-bit numbers of 2 dimensions"),
    ] {
      let found = TestSupport.failure { _ = try pair(images, labels) }.failure
      #expect(found?.code == .badData && found?.message.contains(word) == true, "\(found?.message ?? "")")
    }
  }

  @Test func imagesOfOtherTypesAreRefusedInWords() {
    for (magic, word) in [
      (0x903, "signed bytes of 3 dimensions"), (0xD03, "32-bit floats of 3 dimensions"),
      (0xE03, "64-bit floats of 3 dimensions"), (0x804, "unsigned bytes of 4 dimensions"),
    ] as [(UInt32, String)] {
      let images = idx([magic, 1, 1, 1, 0, 0, 0, 0])
      let found = TestSupport.failure { _ = try pair(images, idxLabels([0])) }.failure
      #expect(found?.code == .badData && found?.message.contains(word) == true, "\(found?.message ?? "")")
    }
  }

  // MARK: Labels with gaps

  /// EMNIST's letters: 1 to 26.
  @Test func classesWithoutASampleAreLeftOutOfASelection() throws {
    let labels = (0..<52).map { UInt8($0 % 26 + 1) }
    for part in DataPart.allCases {
      let name = part.rawValue.replacing("train-", with: "emnist-letters-train-").replacing(
        "test-", with: "emnist-letters-test-")
      directory.write(name, bytes(part, labels: labels))
    }
    var options = options()
    for part in DataPart.allCases {
      let name = part.rawValue.replacing("train-", with: "emnist-letters-train-").replacing(
        "test-", with: "emnist-letters-test-")
      options.files[part] = directory.path + "/" + name
    }
    options.trainSamples = 28
    let data = try idxPair.load(options)
    #expect(data.classes == 27)
    #expect(data.train.labels == (1...26).map { UInt8($0) } + [1, 2])
    let notes = data.notes.map(\.description)
    #expect(notes.contains { $0.contains("no training image has label 0") }, "\(notes)")
    #expect(notes.contains { $0.contains("rows and columns exchanged") }, "\(notes)")
    options.testSamples = 2
    let few = try idxPair.load(options)
    #expect(few.test.labels == [1, 2])
    #expect(
      few.notes.map(\.description).contains {
        $0.contains("test-samples 2 leaves classes 3 to 26 of idx without a sample; 26 give every class one")
      })
  }
}
