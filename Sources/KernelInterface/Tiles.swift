/// Images as the convolution reads them: [tile of 16 rows][pixel][16 lanes], normalised.
///
/// The lanes behind the last row are zero, so that sums over whole vectors see the rows alone.
public struct Tiles {
  /// Pixel 0 of row 0.
  public let base: Floats
  /// Values of an image.
  public let pixels: Int
  /// Images, without the lanes behind the last.
  public let rows: Int

  /// A view of memory of ``floats(pixels:rows:)`` floats, which it does not own.
  @inlinable @inline(__always)
  public init(base: Floats, pixels: Int, rows: Int) {
    self.base = base
    self.pixels = pixels
    self.rows = rows
  }

  /// Tiles of sixteen rows.
  @inlinable @inline(__always)
  public var count: Int { FeatureMap.columns(rows: rows) / laneCount }
  /// The first value of a tile.
  @inlinable @inline(__always)
  public subscript(tile: Int) -> Floats { base + tile &* pixels &* laneCount }

  /// Floats that so many images take.
  @inlinable @inline(__always)
  public static func floats(pixels: Int, rows: Int) -> Int { FeatureMap.columns(rows: rows) &* pixels }

  /// The tiles that hold `rows` rows from `first` on, which must begin a tile.
  public func slice(first: Int, rows: Int) -> Tiles {
    precondition(first % laneCount == 0, "a slice of tiles begins at a whole tile")
    return Tiles(base: self[first / laneCount], pixels: pixels, rows: rows)
  }
}
