import CZlib
internal import Files

/// The bytes of a file, decompressed where it is gzip (known by its first two bytes, not by its name).
///
/// A reader asks for as many bytes as it has room for; nothing is decompressed beyond that, so a small file that
/// would inflate to gigabytes costs no more than what was asked for. Members that follow each other in a gzip file
/// are read as one, as gunzip does; anything else after a member is an error. zlib checks each member's CRC-32 and
/// length when its end is reached: read until `read(into:)` returns less than was asked for.
final class ByteSource {
  /// Whether the file is gzip.
  let isCompressed: Bool
  var path: String { file.path }
  /// Bytes on disk.
  var fileSize: Int { size }

  private let file: CheckedFile
  /// The first bytes of the file as they are on the disk.
  private let head: [UInt8]
  /// Bytes of the file, when it was opened.
  private let size: Int
  /// Bytes of the file taken so far.
  private var consumed = 0
  /// Decompressed bytes handed out so far.
  private var produced = 0
  private var atEnd = false
  /// On the heap, for zlib keeps its address.
  private let stream: UnsafeMutablePointer<z_stream>
  private let input: UnsafeMutableRawBufferPointer

  /// - Parameter inflates: whether a file that is gzip is decompressed; otherwise its bytes are what it has.
  init(path: String, inflates: Bool = true) throws(Failure) {
    let file = try CheckedFile.reading(path, followingLinks: true)
    var head = [UInt8](repeating: 0, count: FileSignature.headBytes)
    let got = try head.withUnsafeMutableBufferPointer { bytes throws(Failure) in
      try file.readSome(into: UnsafeMutableRawBufferPointer(bytes), at: 0)
    }
    self.head = Array(head[..<got])
    size = try file.size()
    self.file = file
    isCompressed = inflates && self.head.starts(with: [0x1F, 0x8B])
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    input = .allocate(byteCount: isCompressed ? 1 << 18 : 0, alignment: 64)
    if isCompressed {
      // 15: the largest window; 16 more: a gzip header and trailer, nothing else.
      precondition(czlib_inflateInit2(stream, 15 + 16) == Z_OK, "zlib has memory for a window")
    }
  }

  deinit {
    if isCompressed { inflateEnd(stream) }
    stream.deallocate()
    input.deallocate()
  }

  /// Fills the buffer, or as much of it as there are bytes left; returns their number.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(Failure) -> Int {
    guard isCompressed else {
      let got = try file.readSome(into: buffer, at: consumed)
      consumed += got
      return got
    }
    var filled = 0
    while filled < buffer.count && !atEnd {
      // zlib counts in 32 bits.
      let room = min(buffer.count - filled, 1 << 30)
      stream.pointee.next_out = buffer.baseAddress!.assumingMemoryBound(to: UInt8.self) + filled
      stream.pointee.avail_out = UInt32(room)
      try inflateSome()
      filled += room - Int(stream.pointee.avail_out)
      produced += room - Int(stream.pointee.avail_out)
    }
    return filled
  }

  /// Fills the array, or its beginning with the bytes that are left; returns their number.
  func read(filling bytes: inout [UInt8]) throws(Failure) -> Int {
    try bytes.withUnsafeMutableBufferPointer { buffer throws(Failure) in
      try read(into: UnsafeMutableRawBufferPointer(buffer))
    }
  }

  /// One call of zlib's inflate, with input; sees to the ends of members and of the file.
  private func inflateSome() throws(Failure) {
    if stream.pointee.avail_in == 0 { try refill() }
    let inputEnded = stream.pointee.avail_in == 0
    let outcome = inflate(stream, Z_NO_FLUSH)
    switch outcome {
    case Z_OK: break
    case Z_STREAM_END:
      if stream.pointee.avail_in == 0 { try refill() }
      atEnd = stream.pointee.avail_in == 0
      if !atEnd { inflateReset(stream) }
    case Z_BUF_ERROR where inputEnded:
      throw Failure(
        .badData,
        "\(path): the gzip data end too early, at byte \(consumed) of the file, after \(produced) decompressed bytes"
      )
    case Z_BUF_ERROR: break
    case Z_MEM_ERROR:
      throw Failure(.internalError, "\(path): no memory to decompress it")
    default:
      let reason = stream.pointee.msg.map { String(cString: $0) } ?? "a dictionary is needed"
      let offset = consumed - Int(stream.pointee.avail_in)
      throw Failure(
        .badData,
        "\(path): damaged gzip data near byte \(offset) of the file, after \(produced) decompressed bytes: \(reason)"
      )
    }
  }

  private func refill() throws(Failure) {
    let got = try file.readSome(into: input, at: consumed)
    consumed += got
    stream.pointee.next_in = input.baseAddress!.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_in = UInt32(got)
  }
}

extension ByteSource {
  /// What a file of another format seems to be, in brackets, for an error message; empty where it is not known.
  ///
  /// - Parameter content: the first bytes, decompressed.
  func hint(_ content: [UInt8]) -> String {
    let words = IDXType.hint(content)
    guard words.isEmpty, let found = FileSignature(head: isCompressed ? content : head) else { return words }
    return " (\(found.rawValue); \(found.adviceForData))"
  }
}
