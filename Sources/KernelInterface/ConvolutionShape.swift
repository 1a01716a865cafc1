/// Sizes of a 3×3 valid convolution over one channel followed by a 2×2 maximum pool with stride 2.
public struct ConvolutionShape: Equatable, Sendable {
  /// Height of an image in pixels, at least 4 for a pooled value to be left.
  public let height: Int
  /// Width of an image in pixels.
  public let width: Int
  /// Output channels.
  public let filters: Int

  /// The shape for images of `height` × `width` pixels.
  @inlinable @inline(__always)
  public init(height: Int, width: Int, filters: Int) {
    self.height = height
    self.width = width
    self.filters = filters
  }

  /// Height of the convolution's output.
  @inlinable @inline(__always)
  public var convolvedHeight: Int { height &- 2 }
  /// Width of the convolution's output.
  @inlinable @inline(__always)
  public var convolvedWidth: Int { width &- 2 }
  /// Positions of the convolution's output, over which BatchNorm takes its statistics.
  @inlinable @inline(__always)
  public var positions: Int { convolvedHeight &* convolvedWidth }
  /// Height after pooling; an odd last line is lost.
  @inlinable @inline(__always)
  public var pooledHeight: Int { convolvedHeight / 2 }
  /// Width after pooling; an odd last column is lost.
  @inlinable @inline(__always)
  public var pooledWidth: Int { convolvedWidth / 2 }
  /// Positions after pooling, per filter.
  @inlinable @inline(__always)
  public var pooled: Int { pooledHeight &* pooledWidth }
  /// Features after pooling, channel-major as PyTorch flattens them.
  @inlinable @inline(__always)
  public var features: Int { filters &* pooled }
}

/// Lengths of the sums from which the statistics of a convolution's output follow.
public enum PatchSums {
  /// Σ x_d over rows and positions, then Σ x_d x_d' for d ≤ d', row by row of the triangle: 9 + 45 sums.
  @inlinable @inline(__always)
  public static var count: Int { 9 &+ 45 }

  /// Floats of memory that a level takes while it sums: per pair, twice per window of a row, and per lag.
  public static var memoryFloats: Int { (count + 2 * 27 + 14) * laneCount }

  /// The place of the pair (a, b), a ≤ b, in the row-wise upper triangle.
  @inlinable @inline(__always)
  public static func triangle(_ a: Int, _ b: Int) -> Int { a &* 9 &- a &* (a &- 1) / 2 &+ (b &- a) }
}
