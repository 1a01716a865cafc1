/// Where floats lie; how many, is said beside it.
public typealias Floats = UnsafeMutablePointer<Float>

/// Sixteen samples: what every kernel works on together, whatever the width of the processor's vectors.
@inlinable @inline(__always) public var laneCount: Int { 16 }

/// Values of a batch, feature-major: feature f of row r is at `base[f · stride + r]`.
///
/// Rows are padded to whole vectors, so kernels have no tails; the padding holds finite values that nobody reads.
/// The stride has sixteen more, because a stride of a power of two would map all features to the same cache set.
public struct FeatureMap {
  /// Feature 0 of row 0.
  public let base: Floats
  /// Values of a row.
  public let features: Int
  /// Rows, without the padding.
  public let rows: Int
  /// Floats from a feature to the next.
  public let stride: Int

  /// A view of memory of ``count(features:rows:)`` floats, which it does not own.
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

  /// So many rows rounded up to whole vectors.
  @inlinable @inline(__always)
  public static func columns(rows: Int) -> Int { (rows &+ laneCount &- 1) & ~(laneCount &- 1) }
  /// Floats from a feature to the next in a map of so many rows.
  @inlinable @inline(__always)
  public static func stride(rows: Int) -> Int { columns(rows: rows) &+ laneCount }
  /// Floats that a map of this size takes.
  @inlinable @inline(__always)
  public static func count(features: Int, rows: Int) -> Int { features &* stride(rows: rows) }

  /// Where a feature's values lie, one per row and then the padding.
  @inlinable @inline(__always)
  public subscript(feature: Int) -> Floats { base + feature &* stride }
}
