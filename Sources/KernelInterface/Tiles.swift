/// Images as the convolution reads them: [tile of 16 rows][pixel][16 lanes], normalised.
///
/// The lanes behind the last row are zero, so that sums over whole vectors see the rows alone.
public struct Tiles {
  public let base: Floats
  public let pixels: Int
  public let rows: Int

  @inlinable @inline(__always)
  public init(base: Floats, pixels: Int, rows: Int) {
    self.base = base
    self.pixels = pixels
    self.rows = rows
  }

  @inlinable @inline(__always)
  public var count: Int { FeatureMap.columns(rows: rows) / laneCount }
  @inlinable @inline(__always)
  public subscript(tile: Int) -> Floats { base + tile &* pixels &* laneCount }

  @inlinable @inline(__always)
  public static func floats(pixels: Int, rows: Int) -> Int { FeatureMap.columns(rows: rows) &* pixels }

  /// The tiles that hold the given rows; `first` must begin a tile.
  public func slice(first: Int, rows: Int) -> Tiles {
    precondition(first % laneCount == 0, "a slice of tiles begins at a whole tile")
    return Tiles(base: self[first / laneCount], pixels: pixels, rows: rows)
  }
}
