/// Planes of a batch as convolutions read and write them: channel c of the sixteen rows of a tile is a plane of vectors.
///
/// A map of its own lies as [tile][channel][y][x][16 lanes], with `border` vectors around every plane that hold the
/// zeros of a padded convolution; so one tile is one piece of memory. A ``FeatureMap`` can be seen as planes, too.
public struct PlaneMap {
  /// The first value inside the border of the first tile's first plane.
  public let base: Floats
  /// Planes of a tile.
  public let channels: Int
  /// Height of a plane, without its border.
  public let height: Int
  /// Width of a plane, without its border.
  public let width: Int
  /// Rows of the batch, sixteen per tile but for the last.
  public let rows: Int
  /// Vectors of zeros on every side of a plane.
  public let border: Int
  /// Floats from a tile to the next.
  public let tileStride: Int
  /// Floats from a channel's plane to the next.
  public let channelStride: Int
  /// Floats from a line of a plane to the one below.
  public let rowStride: Int
  /// Floats from a position to the one on its right.
  public let columnStride: Int

  /// A map of its own, whose border is not yet cleared.
  ///
  /// - Parameters:
  ///   - base: memory of ``floats(channels:height:width:rows:border:)`` floats.
  ///   - channels: planes of a tile.
  ///   - height: of a plane.
  ///   - width: of a plane.
  ///   - rows: of the batch.
  ///   - border: vectors of zeros around a plane.
  @inlinable @inline(__always)
  public init(base: Floats, channels: Int, height: Int, width: Int, rows: Int, border: Int = 0) {
    columnStride = laneCount
    rowStride = (width + 2 * border) * laneCount
    channelStride = (height + 2 * border) * rowStride
    tileStride = channels * channelStride
    self.base = base + border * (rowStride + columnStride)
    self.channels = channels
    self.height = height
    self.width = width
    self.rows = rows
    self.border = border
  }

  /// The features of a map as planes, in the order in which PyTorch flattens them.
  public init(_ map: FeatureMap, channels: Int, height: Int, width: Int) {
    precondition(map.features == channels * height * width, "features are channels × height × width")
    columnStride = map.stride
    rowStride = width * map.stride
    channelStride = height * width * map.stride
    tileStride = laneCount
    base = map.base
    self.channels = channels
    self.height = height
    self.width = width
    rows = map.rows
    border = 0
  }

  private init(_ map: PlaneMap, base: Floats, channels: Int, rows: Int) {
    self.base = base
    self.channels = channels
    self.rows = rows
    height = map.height
    width = map.width
    border = map.border
    tileStride = map.tileStride
    channelStride = map.channelStride
    rowStride = map.rowStride
    columnStride = map.columnStride
  }

  /// Floats that a map of its own takes, border included.
  @inlinable @inline(__always)
  public static func floats(channels: Int, height: Int, width: Int, rows: Int, border: Int = 0) -> Int {
    FeatureMap.columns(rows: rows) * channels * (height + 2 * border) * (width + 2 * border)
  }

  /// Tiles of sixteen rows; the last may have fewer.
  @inlinable @inline(__always)
  public var tiles: Int { (rows + laneCount - 1) / laneCount }

  /// The first value of a plane.
  @inlinable @inline(__always)
  public subscript(tile: Int, channel: Int) -> Floats {
    base + (tile &* tileStride &+ channel &* channelStride)
  }

  /// The plane's first value with its border.
  @inlinable @inline(__always)
  public func corner(_ tile: Int, _ channel: Int) -> UnsafePointer<Float> {
    UnsafePointer(self[tile, channel] - border &* (rowStride &+ columnStride))
  }

  /// Lanes of a tile that are rows.
  @inlinable @inline(__always)
  public func lanes(_ tile: Int) -> Int { min(rows - tile * laneCount, laneCount) }

  /// Some of the tiles, with the same strides.
  public func slice(tiles range: Range<Int>) -> PlaneMap {
    PlaneMap(
      self, base: self[range.lowerBound, 0], channels: channels,
      rows: min(rows, range.upperBound * laneCount) - range.lowerBound * laneCount)
  }

  /// Some of the channels, with the same strides.
  public func slice(channels range: Range<Int>) -> PlaneMap {
    PlaneMap(self, base: self[0, range.lowerBound], channels: range.count, rows: rows)
  }

  /// Sets the border of every plane to zero.
  public func clearBorder() {
    guard border > 0 else { return }
    let edge = border * (rowStride + columnStride)
    for tile in 0..<tiles {
      for channel in 0..<channels {
        let plane = self[tile, channel]
        (plane - edge).update(repeating: 0, count: edge)
        for y in 0..<height {
          let end = plane + y * rowStride + width * columnStride
          end.update(repeating: 0, count: 2 * border * columnStride)
        }
        // The line above has cleared the left border of the row behind the last one, too.
        let last = plane + height * rowStride
        last.update(repeating: 0, count: border * rowStride - border * columnStride)
      }
    }
  }

  /// Copies the planes of another map of the same size into this one, inside its border.
  public func copy(_ source: PlaneMap) {
    for tile in 0..<tiles {
      for channel in 0..<channels {
        for y in 0..<height {
          let (line, from) = (
            self[tile, channel] + y * rowStride, source[tile, channel] + y * source.rowStride
          )
          guard columnStride != laneCount || source.columnStride != laneCount else {
            line.update(from: from, count: width * laneCount)
            continue
          }
          for x in 0..<width {
            (line + x * columnStride).update(from: from + x * source.columnStride, count: laneCount)
          }
        }
      }
    }
  }
}
