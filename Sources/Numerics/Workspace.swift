package import KernelInterface

/// Memory of a fixed capacity that is handed out piece by piece and taken back all at once.
///
/// Sized once per run for the largest batch; the system gives pages to it only where it is touched.
package final class Workspace {
  private let base: UnsafeMutableRawPointer
  package let capacity: Int
  /// Nil where the memory is this workspace's own.
  private let parent: Workspace?
  private var used = 0

  /// - Parameter capacity: bytes.
  package init(capacity: Int) {
    self.capacity = capacity
    parent = nil
    base = UnsafeMutableRawPointer.allocate(byteCount: max(capacity, 64), alignment: 64)
  }

  private init(of parent: Workspace, base: UnsafeMutableRawPointer, capacity: Int) {
    self.parent = parent
    self.base = base
    self.capacity = capacity
  }

  deinit { if parent == nil { base.deallocate() } }

  /// A piece of this workspace as one of its own, for a thread that works beside others.
  ///
  /// - Parameter capacity: bytes.
  package func piece(_ capacity: Int) -> Workspace {
    let bytes = (capacity + 63) & ~63
    return Workspace(of: self, base: take(bytes), capacity: bytes)
  }

  /// Bytes that `count` floats take, rounding included.
  package static func bytes(floats count: Int) -> Int { (count * 4 + 63) & ~63 }

  package func floats(_ count: Int) -> Floats {
    take(Workspace.bytes(floats: count)).assumingMemoryBound(to: Float.self)
  }

  package func bytes(_ count: Int) -> UnsafeMutablePointer<UInt8> {
    take((count + 63) & ~63).assumingMemoryBound(to: UInt8.self)
  }

  package func map(features: Int, rows: Int) -> FeatureMap {
    FeatureMap(
      base: floats(FeatureMap.count(features: features, rows: rows)), features: features, rows: rows)
  }

  /// Where to go back to with ``release(to:)``.
  package var mark: Int { used }
  package func release(to mark: Int) { used = mark }
  package func reset() { used = 0 }

  private func take(_ bytes: Int) -> UnsafeMutableRawPointer {
    precondition(used + bytes <= capacity, "the workspace was sized for the largest batch")
    defer { used += bytes }
    return base + used
  }
}

extension FeatureMap {
  /// Sets the padding behind the rows to zero, so that sums over whole vectors see the rows alone.
  package func clearPadding() {
    for feature in 0..<features {
      let line = self[feature]
      for column in rows..<columns { line[column] = 0 }
    }
  }

  package func clear() { base.update(repeating: 0, count: features * stride) }
}

/// Memory of so many times sixteen floats for the time of the body.
package func withLanes(_ count: Int, _ body: (Floats) -> Void) {
  withUnsafeTemporaryAllocation(byteCount: count * laneCount * 4, alignment: 64) {
    guard let base = $0.baseAddress else { return }
    body(base.assumingMemoryBound(to: Float.self))
  }
}
