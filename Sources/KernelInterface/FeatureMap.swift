public typealias Floats = UnsafeMutablePointer<Float>

/// Sixteen samples: what every kernel works on together, whatever the width of the processor's vectors.
@inlinable @inline(__always) public var laneCount: Int { 16 }

/// Values of a batch, feature-major: feature f of row r is at `base[f · stride + r]`.
///
/// Rows are padded to whole vectors, so kernels have no tails; the padding holds finite values that nobody reads.
/// The stride has sixteen more, because a stride of a power of two would map all features to the same cache set.
public struct FeatureMap {
  public let base: Floats
  public let features: Int
  public let rows: Int
  public let stride: Int

  @inlinable @inline(__always)
  public init(base: Floats, features: Int, rows: Int) {
    self.base = base
    self.features = features
    self.rows = rows
    self.stride = FeatureMap.stride(rows: rows)
  }

  /// Rows rounded up to whole vectors.
  @inlinable @inline(__always)
  public var columns: Int { FeatureMap.columns(rows: rows) }

  @inlinable @inline(__always)
  public static func columns(rows: Int) -> Int { (rows &+ laneCount &- 1) & ~(laneCount &- 1) }
  @inlinable @inline(__always)
  public static func stride(rows: Int) -> Int { columns(rows: rows) &+ laneCount }
  /// Floats that a map of this size takes.
  @inlinable @inline(__always)
  public static func count(features: Int, rows: Int) -> Int { features &* stride(rows: rows) }

  @inlinable @inline(__always)
  public subscript(feature: Int) -> Floats { base + feature &* stride }
}
