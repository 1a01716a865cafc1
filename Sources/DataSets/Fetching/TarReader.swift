internal import Files

/// The plain files of a tar archive, one after the other, from a source of its bytes.
///
/// Names with prefix (POSIX ustar) and sizes in octal are read; entries of other kinds are passed over. Nothing is written, and
/// no name is used as a path: the caller takes what it knows.
struct TarReader {
  private let source: ByteSource
  /// Bytes of the present entry that were not read, padding included.
  private var left = 0
  private var padding = 0

  init(_ source: ByteSource) { self.source = source }

  /// The next plain file: its path in the archive, and its size in bytes; nil at the end.
  mutating func next() throws(Failure) -> (path: String, size: Int)? {
    while true {
      try skip(left + padding)
      var header = [UInt8](repeating: 0, count: 512)
      let got = try source.read(filling: &header)
      // An archive ends with blocks of zeros, or with the file.
      guard got > 0, header.contains(where: { $0 != 0 }) else { return nil }
      guard got == 512, Self.checksum(header) == Self.octal(header[148..<156]) else {
        throw Failure(.badData, "\(source.path): expected a tar archive, found something else in it")
      }
      guard let size = Self.octal(header[124..<136]), size < 1 << 40 else {
        throw Failure(.badData, "\(source.path): an entry of the archive has a size that cannot be")
      }
      left = size
      padding = (512 - size % 512) % 512
      let kind = header[156]
      guard kind == UInt8(ascii: "0") || kind == 0 else { continue }
      let isPOSIX = header[257..<262].elementsEqual("ustar".utf8)
      let prefix = isPOSIX ? Self.text(header[345..<500]) : ""
      let name = Self.text(header[0..<100])
      return (prefix.isEmpty ? name : "\(prefix)/\(name)", size)
    }
  }

  /// The next bytes of the present file, at most so many; empty at its end.
  mutating func read(upTo count: Int) throws(Failure) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: min(count, left))
    guard !bytes.isEmpty else { return [] }
    guard try source.read(filling: &bytes) == bytes.count else {
      throw Failure(.badData, "\(source.path): the archive ends within a file")
    }
    left -= bytes.count
    return bytes
  }

  private mutating func skip(_ count: Int) throws(Failure) {
    var rest = count
    while rest > 0 {
      var bytes = [UInt8](repeating: 0, count: min(rest, 1 << 18))
      guard try source.read(filling: &bytes) == bytes.count else {
        throw Failure(.badData, "\(source.path): the archive ends within a file")
      }
      rest -= bytes.count
    }
    left = 0
    padding = 0
  }

  private static func text(_ field: ArraySlice<UInt8>) -> String {
    String(decoding: field.prefix { $0 != 0 }, as: UTF8.self)
  }

  /// A number in octal digits, spaces and zero bytes around it; nil for anything else.
  private static func octal(_ field: ArraySlice<UInt8>) -> Int? {
    let digits = String(decoding: field.filter { $0 != 0 && $0 != UInt8(ascii: " ") }, as: UTF8.self)
    guard let number = Int(digits, radix: 8), number >= 0 else { return nil }
    return number
  }

  /// The sum of a header's bytes, its own field taken as spaces.
  private static func checksum(_ header: [UInt8]) -> Int {
    header.enumerated().reduce(0) { sum, item in
      sum + (148..<156 ~= item.offset ? 32 : Int(item.element))
    }
  }
}
