internal import Files

/// An IDX file of bytes: images (count × rows × columns) or labels (count), gzip or plain.
///
/// `init` reads the header alone and holds it against the file's size, so nothing is allocated on the word of a
/// header: a plain file must have exactly the length that its header implies, and a gzip file must be able to hold it.
struct IDXFile {
  enum Kind {
    case images, labels

    var magic: UInt32 { self == .images ? 0x0000_0803 : 0x0000_0801 }
    var dimensions: Int { self == .images ? 3 : 1 }
    var headerBytes: Int { 4 + 4 * dimensions }
    var name: String { self == .images ? "images" : "labels" }
  }

  /// No data part may have more bytes.
  static let largestData = 1 << 32
  /// Deflate's best ratio is 1032 : 1 (a length-258 match in two bits).
  static let largestRatio = 1032
  /// Above `trustedData` bytes a gzip file must not compress better than `plausibleRatio` : 1. Images compress
  /// 2 to 20 : 1; a file of a megabyte that says it holds a gigabyte was not made by a camera.
  static let trustedData = 64 << 20
  static let plausibleRatio = 100

  let kind: Kind
  let count: Int
  /// Of an image; 1 for labels.
  let rows: Int
  let columns: Int
  let path: String
  private let source: ByteSource
  private let header: [UInt8]

  init(path: String, kind: Kind) throws(Failure) {
    let source = try ByteSource(path: path)
    let (bytes, got) = try Self.bytes(kind.headerBytes, from: source)
    let header = Array(bytes)
    self.kind = kind
    self.path = path
    self.source = source
    self.header = header
    func field(_ index: Int) -> UInt32 {
      header[4 * index..<4 * index + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
    guard got >= 4 else {
      throw Failure(
        .badData,
        "\(path): at byte \(got): expected the 4-byte magic number of IDX \(kind.name), found the end")
    }
    guard field(0) == kind.magic else {
      throw Failure(
        .badData,
        "\(path): at byte 0: expected the magic number \(hexadecimal(kind.magic)) of IDX \(kind.name), "
          + "found \(hexadecimal(field(0)))\(ByteSource.hint(magic: field(0)))")
    }
    guard got == kind.headerBytes else {
      throw Failure(
        .badData, "\(path): at byte \(got): expected a header of \(kind.headerBytes) bytes, found the end")
    }
    guard (1...UInt32(Int32.max)).contains(field(1)) else {
      throw Failure(
        .badData, "\(path): at byte 4: expected a count of 1 to \(Int32.max) \(kind.name), found \(field(1))")
    }
    count = Int(field(1))
    rows = kind == .images ? Int(field(2)) : 1
    columns = kind == .images ? Int(field(3)) : 1
    guard rows > 0, columns > 0 else {
      throw Failure(
        .badData,
        "\(path): at byte \(rows == 0 ? 8 : 12): expected images of at least 1 × 1 pixels, found \(rows) × \(columns)"
      )
    }
    // Rows × columns fits 64 bits without a sign; the count may not.
    let (data, overflow) = (UInt64(rows) * UInt64(columns)).multipliedReportingOverflow(by: UInt64(count))
    guard !overflow, data <= UInt64(Self.largestData) else {
      throw Failure(
        .badData,
        "\(path): at byte 4: expected at most \(Self.largestData) bytes of data, "
          + "found a header of \(count) × \(rows) × \(columns)")
    }
    try checkFileSize(expected: kind.headerBytes + Int(data))
  }

  /// Bytes of an image; 1 for a label.
  var itemBytes: Int { rows * columns }

  /// The data part, and the SHA-256 of the decompressed file. Called once.
  func data() throws(Failure) -> (bytes: ImageBytes, fingerprint: String) {
    let expected = count * itemBytes
    // What the header promises is not touched before the file has given it, so a small file costs little memory.
    let data = try ImageBytes(count: expected) { buffer throws(Failure) in
      let got = try source.read(into: UnsafeMutableRawBufferPointer(buffer))
      guard got < expected else { return }
      throw Failure(
        .badData,
        "\(path): at byte \(kind.headerBytes + got)\(unit): expected \(kind.headerBytes + expected) bytes for "
          + "\(description), found the end")
    }
    // Room for one more byte: nothing may follow, and zlib compares the checksums at the end.
    let (_, more) = try Self.bytes(1, from: source)
    guard more == 0 else {
      throw Failure(
        .badData,
        "\(path): at byte \(kind.headerBytes + expected)\(unit): expected the end after \(description), "
          + "found more bytes")
    }
    let hash = SHA256()
    hash.update(header)
    data.withUnsafeBufferPointer { hash.update(UnsafeRawBufferPointer($0)) }
    return (data, SHA256.hexadecimal(hash.finish()))
  }

  /// What the header promises, in words.
  var description: String { kind == .images ? "\(count) images of \(rows) × \(columns)" : "\(count) labels" }

  private var unit: String { source.isCompressed ? " of the decompressed data" : "" }

  private func checkFileSize(expected: Int) throws(Failure) {
    let size = source.fileSize
    guard source.isCompressed else {
      guard size == expected else {
        throw Failure(
          .badData,
          "\(path): at byte \(min(size, expected)): expected \(expected) bytes for \(description), "
            + "found a file of \(size) bytes (\(size < expected ? "truncated" : "trailing bytes"))")
      }
      return
    }
    let ratio = expected > Self.trustedData ? Self.plausibleRatio : Self.largestRatio
    guard expected <= size * ratio else {
      throw Failure(
        .badData,
        "\(path): at byte 4 of the decompressed data: expected at most \(size * ratio) bytes from a gzip file of "
          + "\(size) (\(ratio) : 1), found a header of \(description); if it is right, decompress the file")
    }
    // Bounds the time: empty members and blocks may go on for ever without giving a byte.
    guard size <= 2 * expected + (1 << 16) else {
      throw Failure(
        .badData,
        "\(path): at byte 0: expected a gzip file that is smaller than the \(expected) bytes of \(description), "
          + "found \(size) bytes")
    }
  }

  private static func bytes(
    _ count: Int, from source: ByteSource
  ) throws(Failure) -> (bytes: ImageBytes, got: Int) {
    var got = 0
    let bytes = try ImageBytes(count: count) { buffer throws(Failure) in
      let room = UnsafeMutableRawBufferPointer(buffer)
      got = try source.read(into: room)
      // What the file did not give is zero.
      UnsafeMutableRawBufferPointer(rebasing: room[got...]).initializeMemory(as: UInt8.self, repeating: 0)
    }
    return (bytes, got)
  }
}

/// 32 bits as 0x and eight digits.
private func hexadecimal(_ value: UInt32) -> String {
  let digits = String(value, radix: 16)
  return "0x" + String(repeating: "0", count: 8 - digits.count) + digits
}
