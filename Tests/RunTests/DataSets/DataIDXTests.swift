import DataSets
import Files
import Foundation
import Numerics
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#endif

@Suite struct DataIDXTests {
  private let images = idxImages(3, 2, 4)
  private let labels = idxLabels([2, 0, 1])

  private func read(
    _ images: [UInt8], _ labels: [UInt8], classes: Int = 256, shape: ImageShape? = nil
  ) throws -> ImageSet {
    let directory = TemporaryDirectory()
    return try ImageSet.readIDX(
      images: directory.write("images", images), labels: directory.write("labels", labels), classes: classes,
      shape: shape
    ).set
  }

  private func expectBad(
    _ images: [UInt8], _ labels: [UInt8], classes: Int = 256, shape: ImageShape? = nil, _ words: String...,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let (found, seconds) = failure { _ = try read(images, labels, classes: classes, shape: shape) }
    #expect(found?.code == .badData, sourceLocation: sourceLocation)
    let message = found?.message ?? ""
    for word in words + ["expected", "found"] {
      #expect(message.contains(word), "\(message)", sourceLocation: sourceLocation)
    }
    #expect(!message.contains("\n"), sourceLocation: sourceLocation)
    #expect(seconds < 1, sourceLocation: sourceLocation)
  }

  /// Damage inside the compressed data is told in zlib's words.
  private func expectDamaged(
    _ images: [UInt8], _ words: String..., sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let (found, _) = failure { _ = try read(images, labels) }
    #expect(found?.code == .badData, sourceLocation: sourceLocation)
    let message = found?.message ?? ""
    for word in words + ["images: ", "byte"] {
      #expect(message.contains(word), "\(message)", sourceLocation: sourceLocation)
    }
  }

  // MARK: Valid files

  @Test func readsPlainFiles() throws {
    let set = try read(images, labels)
    #expect(set.shape == ImageShape(channels: 1, height: 2, width: 4))
    #expect(Array(set.images) == (0..<24).map { $0 * 7 })
    #expect(set.labels == [2, 0, 1])
  }

  @Test func readsGzipWhateverTheName() throws {
    let set = try read(gzip(images), gzip(labels))
    #expect(Array(set.images) == (0..<24).map { $0 * 7 })
    #expect(set.labels == [2, 0, 1])
  }

  @Test func readsSeveralMembersAsOne() throws {
    for cut in [0, 3, 16, 20, images.count] {
      let set = try read(gzip(Array(images[..<cut])) + gzip(Array(images[cut...])), labels)
      #expect(Array(set.images) == (0..<24).map { $0 * 7 })
    }
  }

  /// More than one buffer of input, more than one stored block.
  @Test func readsLongGzipFiles() throws {
    let data = (0..<1000 * 784).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
    let set = try read(
      gzip(idxImages(1000, 28, 28, data)), idxLabels([UInt8](repeating: 9, count: 1000)), classes: 10)
    #expect(Array(set.images) == data)
  }

  /// "abc" hashes to the digest that FIPS 180 gives.
  @Test func hashesAsPublished() {
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    #expect(sha256(Array("abc".utf8)) == abc)
    #expect(sha256(Array("a".utf8), [], Array("bc".utf8)) == abc)
  }

  @Test func fingerprintsAreThoseOfTheDecompressedFiles() throws {
    let directory = TemporaryDirectory()
    let found = try ImageSet.readIDX(
      images: directory.write("i", gzip(images)), labels: directory.write("l", labels))
    #expect(found.imageFingerprint == sha256(images))
    #expect(found.labelFingerprint == sha256(labels))
  }

  // MARK: Malformed headers

  @Test func refusesWrongMagicNumbers() {
    expectBad(labels, labels, "images", "at byte 0", "0x00000803", "0x00000801", "(labels)")
    expectBad(images, images, "labels", "at byte 0", "0x00000801", "0x00000803", "(images)")
    expectBad(idx([0x0308_0000, 3, 2, 4]), labels, "0x03080000", "wrong order")
    expectBad(Array("<!DOCTYPE html>".utf8), labels, "a web page")
    expectBad(gzip(gzip(images)), labels, "at byte 0", "0x1f8b0800")
  }

  @Test(arguments: 0..<16) func refusesCutHeaders(_ length: Int) {
    expectBad(Array(images[..<length]), labels, "images", "at byte \(length)", "the end")
    expectBad(gzip(Array(images[..<length])), labels, "images", "at byte \(length)", "the end")
    if length < 8 { expectBad(images, Array(labels[..<length]), "labels", "at byte \(length)", "the end") }
  }

  @Test func refusesCountsOutOfRange() {
    for bad in [0, 1 << 31, UInt32.max] {
      expectBad(idx([0x803, bad, 2, 4]), labels, "images", "at byte 4", "1 to 2147483647", "found \(bad)")
      expectBad(gzip(idx([0x803, bad, 2, 4])), labels, "at byte 4", "found \(bad)")
      expectBad(images, idx([0x801, bad]), "labels", "at byte 4", "found \(bad)")
    }
  }

  @Test func refusesEmptyImages() {
    expectBad(idx([0x803, 3, 0, 4]), labels, "at byte 8", "0 × 4")
    expectBad(idx([0x803, 3, 4, 0]), labels, "at byte 12", "4 × 0")
  }

  @Test func refusesSizesThatOverflow() {
    expectBad(idx([0x803, 0x7FFF_FFFF, .max, .max]), labels, "at most 4294967296")
    expectBad(gzip(idx([0x803, 0x7FFF_FFFF, .max, .max])), labels, "at most 4294967296")
    expectBad(idx([0x803, 1 << 30, 1 << 16, 1 << 18]), labels, "at most 4294967296")  // 2⁶⁴
    expectBad(idx([0x803, 1, 1 << 16, 1 << 16 + 1]), labels, "at most 4294967296")
  }

  @Test func refusesOtherShapes() {
    let shape = ImageShape(channels: 1, height: 28, width: 28)
    expectBad(images, labels, shape: shape, "at byte 8", "28 × 28", "2 × 4")
  }

  // MARK: Malformed data

  @Test func refusesTruncatedFiles() {
    for length in [16, 17, images.count - 1] {
      expectBad(Array(images[..<length]), labels, "at byte \(length)", "\(images.count) bytes", "truncated")
      expectBad(
        gzip(Array(images[..<length])), labels, "at byte \(length) of the decompressed data", "the end")
    }
    expectBad(images, Array(labels.dropLast()), "labels", "at byte 10", "truncated")
    // A header of two gigabytes over nothing.
    expectBad(idx([0x803, 1 << 20, 32, 64]), labels, "at byte 16", "found a file of 16 bytes")
    expectBad(images, idx([0x801, 0x7FFF_FFFF], [1, 2, 3]), "labels", "at byte 11")
  }

  @Test func refusesTrailingBytes() {
    expectBad(images + [0], labels, "at byte \(images.count)", "trailing")
    expectBad(gzip(images + [0]), labels, "at byte \(images.count) of the decompressed data", "more bytes")
    expectBad(images, labels + [1, 2], "labels", "at byte 11", "trailing")
    expectBad(gzip(images) + gzip([7]), labels, "at byte \(images.count)", "more bytes")
  }

  @Test func refusesLabelsOutOfRange() {
    expectBad(images, idxLabels([2, 10, 1]), classes: 10, "labels", "at byte 9", "below 10", "found 10")
    expectBad(images, idxLabels([255, 0, 1]), classes: 255, "at byte 8", "below 255", "found 255")
  }

  @Test func refusesPairsOfDifferentCounts() {
    expectBad(images, idxLabels([2, 0]), "labels", "at byte 4", "3 labels", "found 2")
    expectBad(images, idxLabels([2, 0, 1, 1]), "labels", "at byte 4", "found 4")
  }

  // MARK: Damaged gzip

  @Test func refusesDamagedGzip() {
    expectDamaged(gzip(images, crc: 1), "incorrect data check")
    expectDamaged(gzip(images, length: 1), "incorrect length check")
    expectDamaged(gzip(images) + [0, 0, 0], "incorrect header check")
    expectDamaged(Array(gzip(images).prefix(5)), "end too early")
    expectDamaged([0x1F, 0x8B], "end too early")
    expectDamaged(Array(gzip(images).dropLast()), "end too early")
    expectDamaged(gzip(images) + gzip(images).prefix(9), "end too early")
    var damaged = gzip(images)
    damaged[10] = 7  // a block of type 3
    expectDamaged(damaged, "invalid block type")
  }

  /// Every prefix and every single changed byte of a gzip file gives the right images or a failure in one line.
  @Test func survivesEveryChangeOfAByte() {
    let good = gzip(images)
    for position in good.indices {
      for change in [1, 0x80, 0xFF] as [UInt8] {
        var bytes = good
        bytes[position] ^= change
        var set: ImageSet?
        let (found, _) = failure { set = try read(bytes, labels) }
        if let set {
          #expect(Array(set.images) == (0..<24).map { $0 * 7 })
        } else {
          #expect(found?.code == .badData && found?.message.contains("\n") == false)
        }
      }
      let (found, _) = failure { _ = try read(Array(good[..<position]), labels) }
      #expect(found?.code == .badData)
    }
  }

  /// A small file whose header is right about the gigabyte that it inflates to, and one that goes on after the images.
  @Test func refusesBombs() {
    let promised = idx([0x803, 1_300_000, 28, 28])  // 1.02 GB
    expectBad(gzipBomb(promised, repeats: 500_000), labels, "at byte 4", "gzip file of", "1300000 images")
    expectBad(gzipBomb(idx([0x803, 80, 28, 28]), repeats: 500_000), labels, "smaller than")
    expectBad(
      gzipBomb(images, repeats: 2000), labels, "at byte \(images.count) of the decompressed data",
      "more bytes")
    expectBad(images, gzipBomb(idx([0x801, 1_000_000_000]), repeats: 500_000), "labels", "at byte 4")
  }

  // MARK: What is not a file

  @Test func refusesDirectoriesAndFIFOsAtOnce() {
    let directory = TemporaryDirectory()
    let labelPath = directory.write("labels", labels)
    let fifo = directory.path + "/fifo"
    #expect(mkfifo(fifo, 0o600) == 0)
    for (path, word) in [(directory.path, "a directory"), (fifo, "a FIFO"), ("/dev/zero", "a device")] {
      let (found, seconds) = failure { _ = try ImageSet.readIDX(images: path, labels: labelPath) }
      #expect(found?.code == .badData)
      #expect(found?.message == "\(path): expected a plain file, found \(word); name a file")
      #expect(seconds < 1)
    }
    let (found, _) = failure { _ = try ImageSet.readIDX(images: directory.path + "/none", labels: labelPath) }
    #expect(found?.code == .notFound)
    #expect(found?.message.contains("/none") == true)
  }
}
