internal import Files

/// An IDX file: images as bytes (count × rows × columns) or labels as whole numbers (count), gzip or plain.
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
  /// Of an element: bytes of images, whole numbers of labels.
  let type: IDXType
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
    guard let type = IDXType(magic: field(0), dimensions: kind.dimensions),
      kind == .images ? type == .unsignedByte : type.isWhole
    else {
      throw Failure(
        .badData,
        "\(path): at byte 0: expected the magic number \(hexadecimal(kind.magic)) of IDX \(kind.name), "
          + "found \(hexadecimal(field(0)))\(source.hint(Array(header[..<got])))")
    }
    self.type = type
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
    let (data, overflow) = (UInt64(rows) * UInt64(columns)).multipliedReportingOverflow(
      by: UInt64(count * type.bytes))
    guard !overflow, data <= UInt64(Self.largestData) else {
      throw Failure(
        .badData,
        "\(path): at byte 4: expected at most \(Self.largestData) bytes of data, "
          + "found a header of \(count) × \(rows) × \(columns)")
    }
    try checkFileSize(expected: kind.headerBytes + Int(data))
  }

  /// Bytes of an image or a label.
  var itemBytes: Int { rows * columns * type.bytes }

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

  /// The labels, and the SHA-256 of the decompressed file. Called once, of a file of labels.
  ///
  /// - Throws: as ``data()``, and for a label that is not between 0 and 255.
  func labels() throws(Failure) -> (labels: [UInt8], fingerprint: String) {
    let (bytes, fingerprint) = try data()
    guard type != .unsignedByte else { return (Array(bytes), fingerprint) }
    var labels: [UInt8] = []
    labels.reserveCapacity(count)
    for index in 0..<count {
      let value = type.whole(bytes[index * type.bytes..<(index + 1) * type.bytes])
      guard let label = UInt8(exactly: value) else {
        throw Failure(
          .badData,
          "\(path): at byte \(kind.headerBytes + index * type.bytes)\(unit): expected a label of 0 to 255, found \(value)"
        )
      }
      labels.append(label)
    }
    return (labels, fingerprint)
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

/// The types of elements that the IDX format has, by the third byte of the magic number; numbers are big-endian.
enum IDXType: UInt8 {
  case unsignedByte = 0x08
  case signedByte = 0x09
  case short = 0x0B
  case int = 0x0C
  case float = 0x0D
  case double = 0x0E

  /// - Parameter dimensions: the last byte; nil for a file of others, or of no such type.
  init?(magic: UInt32, dimensions: Int) {
    guard magic >> 16 == 0, Int(magic & 0xFF) == dimensions else { return nil }
    self.init(rawValue: UInt8(magic >> 8 & 0xFF))
  }

  /// Of an element.
  var bytes: Int {
    switch self {
    case .unsignedByte, .signedByte: 1
    case .short: 2
    case .int, .float: 4
    case .double: 8
    }
  }

  var isWhole: Bool { self != .float && self != .double }

  private var name: String {
    switch self {
    case .unsignedByte: "unsigned bytes"
    case .signedByte: "signed bytes"
    case .short: "16-bit numbers"
    case .int: "32-bit numbers"
    case .float: "32-bit floats"
    case .double: "64-bit floats"
    }
  }

  /// An element that is a whole number; all but unsigned bytes have a sign.
  func whole(_ bytes: Slice<ImageBytes>) -> Int {
    let bits = bytes.reduce(0) { $0 << 8 | Int($1) }
    let limit = 1 << (8 * bytes.count - 1)
    return self == .unsignedByte || bits < limit ? bits : bits - 2 * limit
  }

  /// What an IDX file of another kind than was wanted is, in brackets; empty where it is none.
  static func hint(_ content: [UInt8]) -> String {
    guard content.count >= 4 else { return "" }
    let magic = content[..<4].reduce(0) { $0 << 8 | UInt32($1) }
    switch magic {
    case 0x0803: return " (images)"
    case 0x0801: return " (labels)"
    case 0x0308_0000, 0x0108_0000: return " (bytes in the wrong order)"
    default: break
    }
    let dimensions = Int(magic & 0xFF)
    guard (1...8).contains(dimensions), let type = IDXType(magic: magic, dimensions: dimensions) else {
      return ""
    }
    let why =
      dimensions == 3 && type != .unsignedByte
      ? "images are read as unsigned bytes, because of others the value of white is not known"
      : "images have 3 dimensions, labels 1"
    return " (\(type.name) of \(dimensions) dimension\(dimensions == 1 ? "" : "s"); \(why))"
  }
}

/// 32 bits as 0x and eight digits.
private func hexadecimal(_ value: UInt32) -> String {
  let digits = String(value, radix: 16)
  return "0x" + String(repeating: "0", count: 8 - digits.count) + digits
}
