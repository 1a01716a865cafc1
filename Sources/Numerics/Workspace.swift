public import KernelInterface

/// Memory that is handed out piece by piece and taken back all at once.
///
/// It measures itself: what does not fit is allocated beside what is there, and ``reset()`` makes one allocation of the
/// most that was in use. So nothing is allocated once the largest batch has been worked on. The system gives pages to it
/// only where it is touched.
public final class Workspace {
  private struct Chunk {
    let base: UnsafeMutableRawPointer
    let capacity: Int
  }

  /// A place to go back to with ``Workspace/release(to:)``.
  public struct Mark {
    fileprivate var chunk = 0
    /// Bytes of the chunk.
    fileprivate var used = 0
    /// Bytes of all.
    fileprivate var total = 0
    fileprivate var pieces = 0
  }

  private var chunks: [Chunk] = []
  private var pieces: [Workspace] = []
  private var now = Mark()
  private var most = 0

  /// - Parameter capacity: bytes that are known to be needed.
  public init(capacity: Int = 0) {
    if capacity > 0 { add(capacity) }
  }

  deinit { for chunk in chunks { chunk.base.deallocate() } }

  /// A workspace of its own for a thread that works beside others, until this one is reset or released.
  public func piece() -> Workspace {
    if now.pieces == pieces.count { pieces.append(Workspace()) }
    let piece = pieces[now.pieces]
    now.pieces += 1
    piece.reset()
    return piece
  }

  /// Bytes that `count` floats take, rounding included.
  public static func bytes(floats count: Int) -> Int { (count * 4 + 63) & ~63 }

  /// Memory of so many floats, not yet written; it begins at a multiple of 64 bytes.
  public func floats(_ count: Int) -> Floats {
    take(Workspace.bytes(floats: count)).assumingMemoryBound(to: Float.self)
  }

  /// Memory of so many bytes, not yet written; it begins at a multiple of 64.
  public func bytes(_ count: Int) -> UnsafeMutablePointer<UInt8> {
    take((count + 63) & ~63).assumingMemoryBound(to: UInt8.self)
  }

  /// A map of [features][rows], not yet written.
  public func map(features: Int, rows: Int) -> FeatureMap {
    FeatureMap(
      base: floats(FeatureMap.count(features: features, rows: rows)), features: features, rows: rows)
  }

  /// What is in use now.
  public var mark: Mark { now }
  /// Takes back what was handed out after the mark.
  public func release(to mark: Mark) { now = mark }

  /// Takes everything back.
  public func reset() {
    now = Mark()
    guard chunks.count > 1 else { return }
    for chunk in chunks { chunk.base.deallocate() }
    chunks = []
    add(most)
  }

  /// Overwrites all memory, the pieces' too, so that a test sees what reads before it writes.
  public func overwrite(with value: Float) {
    for chunk in chunks {
      chunk.base.initializeMemory(as: Float.self, repeating: value, count: chunk.capacity / 4)
    }
    for piece in pieces { piece.overwrite(with: value) }
  }

  private func take(_ bytes: Int) -> UnsafeMutableRawPointer {
    while now.chunk < chunks.count, now.used + bytes > chunks[now.chunk].capacity {
      now.chunk += 1
      now.used = 0
    }
    // As much again as there is, so that growing takes few steps.
    if now.chunk == chunks.count { add(max(bytes, chunks.reduce(0) { $0 + $1.capacity })) }
    defer {
      now.used += bytes
      now.total += bytes
      most = max(most, now.total)
    }
    return chunks[now.chunk].base + now.used
  }

  private func add(_ bytes: Int) {
    let capacity = max(bytes, 4096)
    chunks.append(
      Chunk(
        base: UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 64), capacity: capacity))
  }
}

extension FeatureMap {
  /// Sets the padding behind the rows to zero, so that sums over whole vectors see the rows alone.
  public func clearPadding() {
    for feature in 0..<features {
      let line = self[feature]
      for column in rows..<columns { line[column] = 0 }
    }
  }

  /// Some of the features, as a map of its own over the same memory.
  public func part(_ features: Range<Int>) -> FeatureMap {
    FeatureMap(base: self[features.lowerBound], features: features.count, rows: rows)
  }

  /// Copies a map of the same size, padding included.
  public func copy(_ source: FeatureMap) { base.update(from: source.base, count: features * stride) }

  /// Sets all values to zero, padding included.
  public func clear() { base.update(repeating: 0, count: features * stride) }
}

/// Memory of so many times sixteen floats for the time of the body.
package func withLanes(_ count: Int, _ body: (Floats) -> Void) {
  withUnsafeTemporaryAllocation(byteCount: count * laneCount * 4, alignment: 64) {
    guard let base = $0.baseAddress else { return }
    body(base.assumingMemoryBound(to: Float.self))
  }
}
