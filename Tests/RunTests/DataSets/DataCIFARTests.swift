import DataSets
import Files
import Foundation
import Numerics
import TestSupport
import Testing

/// Options that find nothing on the machine unless the test puts it there.
private func looking(in directory: String) -> DataOptions {
  var options = DataOptions(dataDirectory: directory, environment: [:])
  options.systemDirectory = "/nonexistent"
  return options
}

/// The pixels of record `index` of a made file.
private func pixels(_ index: Int) -> [UInt8] {
  (0..<3072).map { UInt8(truncatingIfNeeded: ($0 + index * 131) &* 40_503 >> 5) }
}

/// Records of CIFAR: label bytes, then pixels.
private func records(_ labels: [[UInt8]], from first: Int = 0) -> [UInt8] {
  labels.enumerated().flatMap { $1 + pixels(first + $0) }
}

@Suite struct CIFARTests {
  private let directory = TemporaryDirectory()
  private let cifar10: any DataSetSource
  private let cifar100: any DataSetSource
  private let train: [[UInt8]] = [[4, 30], [1, 99], [4, 0], [1, 99], [19, 7]]
  private let test: [[UInt8]] = [[4, 0], [19, 7]]

  init() throws {
    cifar10 = try DataSetRegistry.source(named: "cifar-10")
    cifar100 = try DataSetRegistry.source(named: "cifar-100")
  }

  private func write100(_ folder: String = "", train: [UInt8]? = nil, test: [UInt8]? = nil) {
    directory.write(folder + "train.bin", train ?? records(self.train))
    directory.write(folder + "test.bin", test ?? records(self.test, from: 5))
  }

  private func expectBad(
    train: [UInt8]? = nil, test: [UInt8]? = nil, _ words: String...,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    write100(train: train, test: test)
    let (found, seconds) = failure { _ = try cifar100.load(looking(in: directory.path)) }
    #expect(found?.code == .badData, sourceLocation: sourceLocation)
    let message = found?.message ?? ""
    for word in words + [train == nil ? "/test.bin: " : "/train.bin: ", "expected", "found"] {
      #expect(message.contains(word), "\(message)", sourceLocation: sourceLocation)
    }
    #expect(!message.contains("\n"), sourceLocation: sourceLocation)
    #expect(seconds < 2, sourceLocation: sourceLocation)
  }

  // MARK: Valid files

  @Test func readsCIFAR100() throws {
    write100()
    let data = try cifar100.load(looking(in: directory.path))
    #expect(data.name == "cifar-100" && data.classes == 100)
    #expect(data.train.shape == ImageShape(channels: 3, height: 32, width: 32))
    #expect(data.train.labels == [30, 99, 0, 99, 7] && data.test.labels == [0, 7])
    #expect(data.train.coarseLabels == [4, 1, 4, 1, 19] && data.test.coarseLabels == [4, 19])
    #expect(Array(data.train.images) == (0..<5).flatMap { pixels($0) })
    #expect(Array(data.test.images) == (5..<7).flatMap { pixels($0) })
    #expect(data.mean == [0.5074, 0.4867, 0.4411] && data.standardDeviation == [0.2011, 0.1987, 0.2025])
    #expect(data.augmentation == Augmentation(padding: 4))
    #expect(data.fingerprints == ["train": sha256(records(train)), "test": sha256(records(test, from: 5))])
    #expect(data.location == directory.path)
    // Five classes have records; what the other 95 belong to is not known.
    #expect(data.coarseOfClass == nil && data.coarseNames == nil && data.notes.count == 1)
    #expect(data.classNames[99] == "99")
  }

  @Test func readsGzipInOneMemberOrMany() throws {
    let plain = records(train)
    // 1 000 records: more than one portion of the reader.
    let labels = (0..<1000).map { [UInt8($0 % 20), UInt8($0 % 20)] }
    for (bytes, expected) in [
      (gzip(plain), plain), (gzip(Array(plain[..<3000])) + gzip(Array(plain[3000...])), plain),
      (gzip(records(labels)), records(labels)),
    ] {
      let other = TemporaryDirectory()
      other.write("train.bin.gz", bytes)
      other.write("test.bin", Array(expected[..<3074]))
      let data = try cifar100.load(looking(in: other.path))
      #expect(data.fingerprints["train"] == sha256(expected))
      #expect(data.train.count == expected.count / 3074)
      let last = data.train.count - 1
      #expect(Array(data.train.images.suffix(3072)) == pixels(last))
      #expect(Int(data.train.labels[last]) == Int(expected[last * 3074 + 1]))
    }
  }

  @Test func readsCIFAR10InTheOrderOfItsFiles() throws {
    let folder = "cifar-10/cifar-10-batches-bin/"
    for batch in 1...5 {
      directory.write(
        folder + "data_batch_\(batch).bin", records([[UInt8(batch)], [9]], from: 2 * (batch - 1)))
    }
    directory.write(folder + "test_batch.bin", records([[0]], from: 10))
    let data = try cifar10.load(looking(in: directory.path))
    #expect(data.location == directory.path + "/cifar-10/cifar-10-batches-bin")
    #expect(data.train.labels == [1, 9, 2, 9, 3, 9, 4, 9, 5, 9] && data.test.labels == [0])
    #expect(Array(data.train.images) == (0..<10).flatMap { pixels($0) })
    #expect(data.train.coarseLabels == nil && data.coarseOfClass == nil && data.notes.isEmpty)
    #expect(data.classNames.first == "airplane" && data.classNames.last == "truck")
    #expect(data.mean == [0.4914, 0.4822, 0.4465] && data.standardDeviation == [0.2470, 0.2435, 0.2616])
    #expect(data.fingerprints["data_batch_2"] == sha256(records([[2], [9]], from: 2)))
    #expect(data.fingerprints.count == 6)
  }

  @Test func defaultsAreThoseOfTheMethod() {
    #expect(
      cifar100.defaults
        == DataSetDefaults(experts: 20, model: "cifar", epochs: 40, batchSize: 256, learningRate: 1e-3))
    #expect(
      cifar10.defaults
        == DataSetDefaults(experts: 5, model: "cifar-small", epochs: 40, batchSize: 256, learningRate: 1e-3))
  }

  @Test func augmentationCanBeTurnedOff() throws {
    write100()
    var options = looking(in: directory.path)
    options.augment = false
    #expect(try cifar100.load(options).augmentation == nil)
  }

  // MARK: Search

  @Test func looksBelowTheFolderOfTheArchiveToo() throws {
    let root = directory.path
    #expect(
      cifar100.search(looking(in: root))?.places.map(\.directory)
        == [root, root + "/cifar-100", "/nonexistent/cifar-100"])
    // From the last to the first: each takes precedence over those after it.
    for place in ["cifar-100/cifar-100-binary", "cifar-100", "cifar-100-binary", ""] {
      write100(place.isEmpty ? "" : place + "/")
      #expect(cifar100.search(looking(in: root))?.directory == (place.isEmpty ? root : root + "/" + place))
      #expect(try cifar100.load(looking(in: root)).location == (place.isEmpty ? root : root + "/" + place))
    }
  }

  @Test func missingFilesAreNotFoundWithThePlaces() {
    directory.write("cifar-100-binary/train.bin", records(train))
    let (found, _) = failure { _ = try cifar100.load(looking(in: directory.path)) }
    #expect(found?.code == .notFound)
    for word in [
      directory.path + "/cifar-100-binary (lacks test.bin)", directory.path + "/cifar-100,",
      "/nonexistent/cifar-100", "synthetic-rgb",
    ] {
      #expect(found?.message.contains(word) == true, "\(found?.message ?? "")")
    }
  }

  // MARK: Malformed files

  @Test func refusesWhatIsNoWholeNumberOfRecords() {
    let good = records(train)
    for cut in [1, 3073, 3074 * 4 + 1, good.count - 1] {
      let place = "at byte \(cut / 3074 * 3074)"
      expectBad(train: Array(good[..<cut]), place, "3074 bytes", "\(cut % 3074) bytes more")
      expectBad(
        train: gzip(Array(good[..<cut])), place + " of the decompressed data", "\(cut % 3074) bytes more")
    }
    expectBad(train: good + [0], "at byte \(good.count)", "5 records and 1 bytes more")
    expectBad(train: [], "at byte 0", "found none")
    expectBad(train: gzip([]), "at byte 0", "found none")
    expectBad(test: Array(records(test).dropLast()), "at byte 3074", "1 records and 3073 bytes more")
    expectBad(train: records([[3], [4]]), "whole records of CIFAR-10")
    expectBad(train: Array("<!DOCTYPE html>".utf8), "a web page")
  }

  @Test func refusesLabelsOutOfRange() {
    expectBad(train: records([[4, 30], [20, 3]]), "at byte 3074:", "coarse label below 20", "found 20")
    expectBad(train: records([[4, 30], [1, 100]]), "at byte 3075:", "fine label below 100", "found 100")
    expectBad(
      train: gzip(records([[4, 255]])), "at byte 1 of the decompressed data", "below 100", "found 255")
    expectBad(test: records([[4, 0], [4, 111]]), "at byte 3075", "found 111")
  }

  @Test func refusesClassesWithTwoCoarseClasses() {
    expectBad(
      train: records([[4, 30], [1, 99], [5, 30]]), "at byte 6148", "coarse label 4 with fine label 30",
      "train.bin at byte 0", "found 5")
    expectBad(
      test: records([[4, 0], [3, 7]]), "at byte 3074", "coarse label 19 with fine label 7", "train.bin")
  }

  @Test func refusesDamagedGzip() {
    for (bytes, words) in [
      (gzip(records(train), crc: 1), "incorrect data check"),
      (Array(gzip(records(train)).dropLast()), "end too early"),
      (gzip(records(train)) + [1, 2, 3], "incorrect header check"),
    ] {
      write100(train: bytes)
      let (found, _) = failure { _ = try cifar100.load(looking(in: directory.path)) }
      #expect(found?.code == .badData)
      #expect(found?.message.contains("train.bin: ") == true && found?.message.contains(words) == true)
    }
  }

  /// 0.9 MB that inflate to 140 MB of valid records (all zero): above 64 MiB nothing inflates 100-fold.
  @Test func refusesBombs() {
    expectBad(
      train: gzipBomb([], repeats: 68_000), "of the decompressed data", "gzip file of", "100 : 1",
      "decompress the file")
  }

  @Test func everyPrefixOfAFileIsReadOrRefusedInOneLine() throws {
    let good = gzip(records([[4, 30]]))
    for length in stride(from: 0, through: good.count, by: 61) {
      write100(train: Array(good[..<length]))
      let (found, _) = failure { _ = try cifar100.load(looking(in: directory.path)) }
      #expect(found?.code == .badData && found?.message.contains("\n") == false)
    }
  }

  // MARK: Names

  @Test func namesComeFromTheirFiles() throws {
    let coarse = (0..<100).map { UInt8($0 * 7 % 20) }
    write100(train: records((0..<100).map { [coarse[$0], UInt8($0)] }), test: records([[coarse[7], 7]]))
    let fine = (0..<100).map { "fine_\($0)" }
    directory.write("fine_label_names.txt", Array((fine.joined(separator: "\n") + "\n\n").utf8))
    let data = try cifar100.load(looking(in: directory.path))
    #expect(data.classNames == fine)
    #expect(data.coarseOfClass == coarse.map { Int($0) })
    #expect(data.coarseNames == (0..<20).map { String($0) }, "without a file, numbers")
    directory.write("coarse_label_names.txt", Array((0..<20).map { "c\($0)\r\n" }.joined().utf8))
    #expect(try cifar100.load(looking(in: directory.path)).coarseNames?.last == "c19")
  }

  @Test(arguments: ["a\nb\n", "", "\u{1B}[2J", "\u{FF}", "tab\there"])
  func strangeNamesAreRefused(_ text: String) {
    write100()
    let names = (0..<99).map { "n\($0)\n" }.joined() + text
    let bytes = text == "\u{FF}" ? Array(names.utf8.dropLast(2)) + [0xFF] : Array(names.utf8)
    directory.write("fine_label_names.txt", bytes)
    let (found, _) = failure { _ = try cifar100.load(looking(in: directory.path)) }
    #expect(found?.code == .badData)
    #expect(found?.message.contains("fine_label_names.txt: at byte ") == true)
    #expect(found?.message.contains("\n") == false)
  }

  // MARK: Writing

  @Test func whatIsWrittenReadsBackTheSame() throws {
    var options = looking(in: directory.path)
    options.trainSamples = 300
    options.testSamples = 120
    let made = try DataSetRegistry.source(named: "synthetic-rgb").load(options)
    let place = directory.path + "/cifar-100"
    let paths = try CIFARFile.write(made, to: place)
    #expect(
      paths.map { ($0 as NSString).lastPathComponent }.sorted() == [
        "coarse_label_names.txt", "fine_label_names.txt", "test.bin", "train.bin",
      ])
    // The format by hand: coarse, fine, pixels.
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: place + "/train.bin")))
    #expect(bytes.count == 300 * 3074)
    #expect(Array(bytes[3074 * 207..<3074 * 207 + 2]) == [UInt8(7 / 5), 7])
    #expect(Array(bytes[3074 * 207 + 2..<3074 * 208]) == Array(made.train.images[3072 * 207..<3072 * 208]))
    let read = try cifar100.load(looking(in: directory.path))
    #expect(Array(read.train.images) == Array(made.train.images))
    #expect(Array(read.test.images) == Array(made.test.images))
    #expect(read.train.labels == made.train.labels && read.test.coarseLabels == made.test.coarseLabels)
    #expect(read.classNames == made.classNames && read.coarseNames == made.coarseNames)
    #expect(read.coarseOfClass == made.coarseOfClass && read.notes.isEmpty)
    let (again, _) = failure { try CIFARFile.write(made, to: place) }
    #expect(again?.code == .cannotCreate, "nothing is overwritten")
  }

  @Test func onlyDataOfTheFormatAreWritten() throws {
    let grey = try DataSetRegistry.source(named: "synthetic").load(looking(in: directory.path))
    let (found, _) = failure { try CIFARFile.write(grey, to: directory.path + "/x") }
    #expect(found?.code == .usage)
    #expect(!FileManager.default.fileExists(atPath: directory.path + "/x"))
  }

  // MARK: Images without labels

  @Test func imagesToPredictMayHaveAnyLabels() throws {
    write100()
    let like = try cifar100.load(looking(in: directory.path)).train
    let path = directory.write("some.bin", records([[77, 200], [0, 0]]))
    let set = try ImageSet.unlabelled(path, like: like)
    #expect(set.labels == [0, 0] && Array(set.images) == pixels(0) + pixels(1))
    let other = directory.write("other.bin", records([[77], [0]]))
    #expect(failure { _ = try ImageSet.unlabelled(other, like: like) }.failure?.code == .badData)
    let plain = ImageSet(shape: like.shape, images: [UInt8](repeating: 0, count: 3072), labels: [0])
    #expect(try ImageSet.unlabelled(other, like: plain).count == 2)
  }
}

/// The canonical files, where a machine has them.
@Suite struct CIFARFilesTests {
  @Test(
    .enabled(
      if: (try? DataSetRegistry.source(named: "cifar-100"))?.search(
        DataOptions(environment: ProcessInfo.processInfo.environment))?.directory != nil))
  func cifar100IsAsItsAuthorsSay() throws {
    let data = try DataSetRegistry.source(named: "cifar-100").load(
      DataOptions(environment: ProcessInfo.processInfo.environment))
    #expect(data.train.count == 50_000 && data.test.count == 10_000)
    for label in 0..<100 as Range<UInt8> {
      #expect(data.train.labels.count { $0 == label } == 500)
      #expect(data.test.labels.count { $0 == label } == 100)
    }
    let coarse = try #require(data.coarseOfClass)
    for group in 0..<20 { #expect(coarse.count { $0 == group } == 5) }
    #expect(data.classNames.first == "apple" && data.classNames.last == "worm" && data.notes.isEmpty)
    #expect(data.coarseNames?[coarse[0]] == "fruit_and_vegetables")
    // The published figures are those of the training images, per channel; deviations are stated a little smaller than
    // those over all pixels (they are means of the images' own).
    for channel in 0..<3 {
      var sum = 0
      for image in 0..<50_000 {
        let start = data.train.images.base + image * 3072 + channel * 1024
        for pixel in 0..<1024 { sum += Int(start[pixel]) }
      }
      #expect(abs(Double(sum) / 50_000 / 1024 / 255 - data.mean[channel]) < 1e-3)
    }
  }
}
