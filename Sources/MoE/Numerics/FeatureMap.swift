internal import CLanes

package typealias Floats = UnsafeMutablePointer<Float>

/// Sixteen samples: the width of a vector, and of a tile of input.
package let laneCount = 16

/// Values of a batch, feature-major: feature f of row r is at `base[f · stride + r]`.
///
/// Rows are padded to whole vectors, so kernels have no tails; the padding holds finite values that nobody reads.
/// The stride has sixteen more, because a stride of a power of two would map all features to the same cache set.
package struct FeatureMap {
  package let base: Floats
  package let features: Int
  package let rows: Int
  package let stride: Int

  package init(base: Floats, features: Int, rows: Int) {
    self.base = base
    self.features = features
    self.rows = rows
    self.stride = FeatureMap.stride(rows: rows)
  }

  /// Rows rounded up to whole vectors.
  package var columns: Int { FeatureMap.columns(rows: rows) }

  package static func columns(rows: Int) -> Int { (rows + laneCount - 1) / laneCount * laneCount }
  package static func stride(rows: Int) -> Int { columns(rows: rows) + laneCount }
  /// Floats that a map of this size takes.
  package static func count(features: Int, rows: Int) -> Int { features * stride(rows: rows) }

  package subscript(feature: Int) -> Floats { base + feature &* stride }

  /// Sets the padding behind the rows to zero, so that sums over whole vectors see the rows alone.
  package func clearPadding() {
    for feature in 0..<features {
      let line = self[feature]
      for column in rows..<columns { line[column] = 0 }
    }
  }

  package func clear() { base.update(repeating: 0, count: features * stride) }
}

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
