internal import Files
internal import Glibc

/// Bytes in an allocation of their own: their address is the same as long as this value or a copy of it lives.
///
/// An array promises its address only inside a closure; batches of many images from many places want it for longer.
public struct ImageBytes: RandomAccessCollection, Sendable {
  private let storage: Storage

  private final class Storage: @unchecked Sendable {
    // Written before the first value that holds it, never after.
    let buffer: UnsafeMutableBufferPointer<UInt8>

    init(adopting buffer: UnsafeMutableBufferPointer<UInt8>) { self.buffer = buffer }

    deinit { free(buffer.baseAddress) }
  }

  /// - Parameter fill: writes every byte.
  package init<Problem: Error>(
    count: Int, fill: (UnsafeMutableBufferPointer<UInt8>) throws(Problem) -> Void
  ) throws(Problem) {
    var growing = GrowingBytes(capacity: count)
    try fill(growing.room(count))
    growing.added(count)
    self = growing.finish()
  }

  /// A copy of an array.
  public init(_ bytes: [UInt8]) {
    self.init(count: bytes.count) { _ = $0.initialize(fromContentsOf: bytes) }
  }

  /// Takes over memory from `malloc`.
  init(adopting buffer: UnsafeMutableBufferPointer<UInt8>) { storage = Storage(adopting: buffer) }

  /// The first byte; valid as long as this value or a copy of it.
  package var base: UnsafePointer<UInt8> {
    guard let base = storage.buffer.baseAddress else { preconditionFailure("there is always an allocation") }
    return UnsafePointer(base)
  }

  public var startIndex: Int { 0 }
  public var endIndex: Int { storage.buffer.count }

  public subscript(position: Int) -> UInt8 {
    precondition(position >= 0 && position < endIndex, "byte \(position) of \(endIndex)")
    return base[position]
  }

  public func withUnsafeBufferPointer<Result, Problem: Error>(
    _ body: (UnsafeBufferPointer<UInt8>) throws(Problem) -> Result
  ) throws(Problem) -> Result {
    try body(UnsafeBufferPointer(storage.buffer))
  }

  public func withContiguousStorageIfAvailable<Result>(
    _ body: (UnsafeBufferPointer<UInt8>) throws -> Result
  ) rethrows -> Result? {
    try body(UnsafeBufferPointer(storage.buffer))
  }
}

/// Bytes whose final number is not known at the start; they become ``ImageBytes`` without a copy.
struct GrowingBytes: ~Copyable {
  private var base: UnsafeMutablePointer<UInt8>
  private var capacity: Int
  private(set) var count = 0

  init(capacity: Int) {
    self.capacity = Swift.max(capacity, 1)
    base = Self.reallocated(nil, self.capacity)
  }

  deinit { free(base) }

  /// A place for more bytes behind those that were added; valid until the next call.
  mutating func room(_ more: Int) -> UnsafeMutableBufferPointer<UInt8> {
    if more > capacity - count {
      // Large blocks move by remapping their pages, so growing costs neither copies nor memory that nobody wrote.
      capacity = Swift.max(2 * capacity, count + more)
      base = Self.reallocated(base, capacity)
    }
    return UnsafeMutableBufferPointer(start: base + count, count: more)
  }

  /// Counts bytes that were written to the last `room`.
  mutating func added(_ more: Int) {
    precondition(more <= capacity - count, "bytes are written where there is room")
    count += more
  }

  consuming func finish() -> ImageBytes {
    let bytes = ImageBytes(
      adopting: UnsafeMutableBufferPointer(start: Self.reallocated(base, Swift.max(count, 1)), count: count))
    discard self
    return bytes
  }

  private static func reallocated(
    _ base: UnsafeMutablePointer<UInt8>?, _ bytes: Int
  ) -> UnsafeMutablePointer<UInt8> {
    guard let memory = realloc(base, bytes) else {
      preconditionFailure("no memory for \(bytes) bytes of images")
    }
    return memory.bindMemory(to: UInt8.self, capacity: bytes)
  }
}

/// SHA-256 of bytes, in hexadecimal.
package func sha256(_ bytes: ImageBytes) -> String {
  let hash = SHA256()
  bytes.withUnsafeBufferPointer { hash.update(UnsafeRawBufferPointer($0)) }
  return SHA256.hexadecimal(hash.finish())
}
