import DataSets
import Files
import Numerics
import TestSupport
import Testing

/// Options that find nothing on the machine unless the test puts it there.
private func looking(in directory: String) -> DataOptions {
  var options = DataOptions(dataDirectory: directory, environment: [:])
  options.systemDirectory = "/nonexistent"
  return options
}

/// Four IDX files in a directory; image i is filled with the byte `first` + i.
private func writeIDX(
  _ directory: TemporaryDirectory, _ folder: String, train: [UInt8], test: [UInt8], first: UInt8 = 0,
  side: Int = 28
) {
  func images(_ count: Int) -> [UInt8] {
    idxImages(
      count, side, side,
      (0..<count).flatMap { [UInt8](repeating: first &+ UInt8(truncatingIfNeeded: $0), count: side * side) })
  }
  directory.write(folder + "/train-images-idx3-ubyte", images(train.count))
  directory.write(folder + "/train-labels-idx1-ubyte", idxLabels(train))
  directory.write(folder + "/t10k-images-idx3-ubyte", images(test.count))
  directory.write(folder + "/t10k-labels-idx1-ubyte", idxLabels(test))
}

/// The first byte of every image.
private func marks(_ set: ImageSet) -> [UInt8] {
  (0..<set.count).map { set.images[$0 * set.shape.pixels] }
}

@Suite struct SampleSelectionTests {
  private let directory = TemporaryDirectory()
  private let source: any DataSetSource

  init() throws {
    source = try DataSetRegistry.source(named: "idx")
    writeIDX(
      directory, "idx", train: [2, 0, 0, 1, 2, 1, 0, 2, 1, 0], test: [0, 1, 2, 2, 1, 0], side: 2)
  }

  private func load(train: Int? = nil, test: Int? = nil) throws -> DataSet {
    var options = looking(in: directory.path)
    options.trainSamples = train
    options.testSamples = test
    return try source.load(options)
  }

  @Test func allSamplesUnlessAsked() throws {
    let data = try load()
    #expect(marks(data.train) == (0..<10).map { $0 } && marks(data.test) == (0..<6).map { $0 })
  }

  @Test func takesTheFirstOfEveryClassInFileOrder() throws {
    let data = try load(train: 6, test: 3)
    #expect(data.train.labels == [2, 0, 0, 1, 2, 1])
    #expect(marks(data.train) == [0, 1, 2, 3, 4, 5])
    #expect(marks(try load(train: 3).train) == [0, 1, 3])
    #expect(marks(try load(train: 9).train) == [0, 1, 2, 3, 4, 5, 6, 7, 8])
    #expect(marks(data.test) == [0, 1, 2])
    #expect(data.fingerprints == (try load()).fingerprints, "they are those of the files")
    #expect(data.mean == (try load()).mean)
  }

  @Test func theLowestClassesTakeTheRemainder() throws {
    #expect(try load(train: 5).train.labels == [2, 0, 0, 1, 1])
    #expect(marks(try load(train: 10).train) == (0..<10).map { $0 })
    #expect(try load(train: 1).train.labels == [0])
    #expect(try load(train: 2).train.labels == [0, 1])
  }

  @Test func classesWithoutASampleAreNamed() throws {
    #expect(try load(train: 3, test: 3).notes == load().notes)
    let notes = try load(train: 2, test: 1).notes
    let added = notes.map(\.description).filter { $0.contains("without a sample") }
    #expect(added.count == 2)
    #expect(added.first?.contains("train-samples 2 leaves class 2 of idx") == true, "\(added)")
    #expect(added.last?.contains("test-samples 1 leaves classes 1 to 2 of idx") == true, "\(added)")
    #expect(added.allSatisfy { $0.contains("3 give every class one") })
  }

  @Test func aClassThatHasTooFewIsNamed() {
    let (found, _) = failure { _ = try load(train: 12) }
    #expect(found?.code == .usage)
    for word in ["train-samples 12", "4 samples of class 1", "which has 3"] {
      #expect(found?.message.contains(word) == true, "\(found?.message ?? "")")
    }
    #expect(failure { _ = try load(test: 7) }.failure?.message.contains("test-samples 7") == true)
  }

  @Test func coarseLabelsGoWithTheirSamples() throws {
    var options = looking(in: directory.path)
    options.trainSamples = 150
    options.testSamples = 100
    let data = try DataSetRegistry.source(named: "synthetic-rgb").load(options)
    #expect(data.train.count == 150 && data.train.coarseLabels == data.train.labels.map { $0 / 5 })
    #expect(Array(data.train.images) == Array(SyntheticRGBTask.images(0..<150).images))
  }
}

@Suite struct CombinedSetTests {
  private let directory = TemporaryDirectory()
  private let source: any DataSetSource

  init() throws { source = try DataSetRegistry.source(named: "fashion-mnist+mnist") }

  @Test func clothesComeFirstThenTheDigitsFromFour() throws {
    writeIDX(directory, "fashion-mnist", train: [9, 0, 5, 6, 3], test: [6, 1, 2])
    writeIDX(directory, "mnist", train: [4, 3, 9, 0, 4], test: [7, 1], first: 100)
    let data = try source.load(looking(in: directory.path))
    #expect(data.classes == 12 && data.train.shape == ImageShape(channels: 1, height: 28, width: 28))
    #expect(data.train.labels == [0, 5, 3, 6, 11, 6] && marks(data.train) == [1, 2, 4, 100, 102, 104])
    #expect(data.test.labels == [1, 2, 9] && marks(data.test) == [1, 2, 100])
    #expect(data.classNames[0] == "T-shirt/top" && data.classNames[5] == "Sandal")
    #expect(data.classNames[6...] == ["4", "5", "6", "7", "8", "9"])
    #expect(data.mean == [0.5] && data.standardDeviation == [0.5])
    #expect(data.fingerprints.count == 8)
    #expect(data.fingerprints["mnist-train-labels"] == sha256(idxLabels([4, 3, 9, 0, 4])))
    #expect(data.location == "\(directory.path)/fashion-mnist, \(directory.path)/mnist")
    #expect(
      source.defaults
        == DataSetDefaults(experts: 6, model: "combined", epochs: 20, batchSize: 512, learningRate: 1e-3))
  }

  @Test func needsBothAndSaysWhichIsMissing() {
    writeIDX(directory, "fashion-mnist", train: [0, 1], test: [2])
    let (found, _) = failure { _ = try source.load(looking(in: directory.path)) }
    #expect(found?.code == .notFound)
    #expect(found?.message.contains(directory.path + "/mnist,") == true)
    #expect(found?.message.contains(directory.path + "/fashion-mnist") == false)
    #expect(source.search(looking(in: directory.path))?.directory == nil)
  }

  /// Four files in the data directory itself could be either's.
  @Test func oneDirectoryIsNotTakenForBoth() {
    writeIDX(directory, ".", train: [0, 5], test: [1])
    #expect(failure { _ = try source.load(looking(in: directory.path)) }.failure?.code == .notFound)
  }

  @Test func subsetsAreEqualPerClassOfTheTwelve() throws {
    let labels = (0..<40).map { UInt8($0 % 10) }
    writeIDX(directory, "fashion-mnist", train: labels, test: labels)
    writeIDX(directory, "mnist", train: labels, test: labels)
    var options = looking(in: directory.path)
    options.trainSamples = 36
    options.testSamples = 12
    let data = try source.load(options)
    for label in 0..<12 as Range<UInt8> {
      #expect(data.train.labels.count { $0 == label } == 3 && data.test.labels.count { $0 == label } == 1)
    }
  }
}
