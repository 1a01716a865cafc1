internal import Files
internal import Numerics

/// The binary format of CIFAR: records without a header, each one or two label bytes and 3 072 bytes of a 32 × 32 image,
/// channel-major (Krizhevsky 2009, the binary version of the archives).
struct CIFARFormat: Sendable {
  struct Label: Sendable {
    let name: String
    let classes: Int
  }

  static let shape = ImageShape(channels: 3, height: 32, width: 32)
  static let cifar10 = CIFARFormat(name: "CIFAR-10", labels: [Label(name: "label", classes: 10)])
  static let cifar100 = CIFARFormat(
    name: "CIFAR-100",
    labels: [Label(name: "coarse label", classes: 20), Label(name: "fine label", classes: 100)])

  let name: String
  /// The last is the class; one before it is the coarse class.
  let labels: [Label]

  var hasCoarse: Bool { labels.count == 2 }
  var recordBytes: Int { labels.count + Self.shape.pixels }
  /// The format that such a file might have instead.
  var other: CIFARFormat { hasCoarse ? .cifar10 : .cifar100 }
}

/// Reads the records of CIFAR files, one file after the other, into one image set.
///
/// A plain file's length says how many records there are; of a gzip file nothing is believed, so memory grows with what
/// was really decompressed, up to a limit that its size on disk sets.
struct CIFARRecords: ~Copyable {
  private static let chunk = 256

  private let format: CIFARFormat
  private let isLabelled: Bool
  private var images = GrowingBytes(capacity: 1)
  private var labels: [UInt8] = []
  private var coarseLabels: [UInt8] = []

  /// - Parameter isLabelled: false takes any labels and gives every image the class 0.
  init(_ format: CIFARFormat, isLabelled: Bool = true) {
    self.format = format
    self.isLabelled = isLabelled
  }

  /// Adds the records of a file, gzip or plain.
  /// - Returns: the SHA-256 of the decompressed file.
  /// - Throws: `Failure(.badData, …)` naming file, offset, expected and found.
  mutating func add(path: String) throws(Failure) -> String {
    let source = try ByteSource(path: path)
    let limit = try byteLimit(source)
    if !source.isCompressed { _ = images.room(limit / format.recordBytes * CIFARFormat.shape.pixels) }
    let hash = SHA256()
    var buffer = [UInt8](repeating: 0, count: Self.chunk * format.recordBytes)
    var offset = 0
    while true {
      let got = try source.read(filling: &buffer)
      guard offset + got <= limit else { throw tooLong(source, limit) }
      guard got % format.recordBytes == 0, got > 0 || offset > 0 else {
        throw notRecords(
          source, length: offset + got, first: Array(buffer.prefix(min(got, FileSignature.headBytes))))
      }
      buffer.withUnsafeBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[..<got])) }
      for record in stride(from: 0, to: got, by: format.recordBytes) {
        try take(buffer[record..<record + format.recordBytes], source, offset: offset + record)
      }
      offset += got
      if got < buffer.count { return SHA256.hexadecimal(hash.finish()) }
    }
  }

  consuming func finish() -> ImageSet {
    let (labels, coarse) = (labels, format.hasCoarse && isLabelled ? coarseLabels : nil)
    return ImageSet(
      shape: CIFARFormat.shape, images: images.finish(), labels: labels, coarseLabels: coarse)
  }

  private mutating func take(
    _ record: ArraySlice<UInt8>, _ source: ByteSource, offset: Int
  ) throws(Failure) {
    for (place, label) in format.labels.enumerated() where isLabelled {
      let found = record[record.startIndex + place]
      guard Int(found) < label.classes else {
        throw Failure(
          .badData,
          "\(source.path): at byte \(offset + place)\(unit(source)): expected a \(label.name) below \(label.classes), "
            + "found \(found)")
      }
    }
    let pixels = record.dropFirst(format.labels.count)
    labels.append(isLabelled ? record[pixels.startIndex - 1] : 0)
    if format.hasCoarse { coarseLabels.append(record[record.startIndex]) }
    _ = images.room(pixels.count).initialize(fromContentsOf: pixels)
    images.added(pixels.count)
  }

  /// The most bytes that the file may give; exact for a plain file.
  private func byteLimit(_ source: ByteSource) throws(Failure) -> Int {
    let size = source.fileSize
    guard size <= IDXFile.largestData else {
      throw Failure(
        .badData,
        "\(source.path): at byte 0: expected at most \(IDXFile.largestData) bytes, found a file of \(size) bytes"
      )
    }
    guard !source.isCompressed else {
      return min(IDXFile.largestData, max(IDXFile.trustedData, size * IDXFile.plausibleRatio))
    }
    guard size % format.recordBytes == 0 else {
      var first = [UInt8](repeating: 0, count: 4)
      let got = try source.read(filling: &first)
      throw notRecords(source, length: size, first: Array(first[..<got]))
    }
    return size
  }

  private func notRecords(_ source: ByteSource, length: Int, first: [UInt8]) -> Failure {
    let whole = length / format.recordBytes
    var words = "\(whole) records and \(length % format.recordBytes) bytes more"
    if length == 0 {
      words = "none"
    } else if length % format.other.recordBytes == 0 {
      words += " (but whole records of \(format.other.name))"
    } else {
      words += source.hint(first)
    }
    return Failure(
      .badData,
      "\(source.path): at byte \(whole * format.recordBytes)\(unit(source)): expected whole \(format.name) records of "
        + "\(format.recordBytes) bytes, found \(words)")
  }

  /// Only a gzip file gives more than its size says; a plain file that grew while it was read does so, too.
  private func tooLong(_ source: ByteSource, _ limit: Int) -> Failure {
    let allowance =
      source.isCompressed
      ? "gzip file of \(source.fileSize) (at most \(IDXFile.plausibleRatio) : 1 above "
        + "\(IDXFile.trustedData))" : "file of \(source.fileSize)"
    return Failure(
      .badData,
      "\(source.path): at byte \(limit)\(unit(source)): expected at most \(limit) bytes from a \(allowance), found more"
        + (source.isCompressed ? "; if it is right, decompress the file" : ""))
  }

  private func unit(_ source: ByteSource) -> String {
    source.isCompressed ? " of the decompressed data" : ""
  }
}

extension ImageSet {
  /// Reads CIFAR files without their labels; every label is 0.
  static func unlabelledCIFAR(_ path: String, _ format: CIFARFormat) throws(Failure) -> ImageSet {
    var records = CIFARRecords(format, isLabelled: false)
    _ = try records.add(path: path)
    return records.finish()
  }
}
