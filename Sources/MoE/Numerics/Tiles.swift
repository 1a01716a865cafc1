internal import CLanes

/// Images as the convolution reads them: [tile of 16 rows][pixel][16 lanes], normalised.
///
/// The lanes behind the last row are zero, so that sums over whole vectors see the rows alone.
package struct Tiles {
  package let base: Floats
  package let pixels: Int
  package let rows: Int

  package init(base: Floats, pixels: Int, rows: Int) {
    self.base = base
    self.pixels = pixels
    self.rows = rows
  }

  package var count: Int { (rows + laneCount - 1) / laneCount }
  package subscript(tile: Int) -> Floats { base + tile &* pixels &* laneCount }

  package static func floats(pixels: Int, rows: Int) -> Int { FeatureMap.columns(rows: rows) * pixels }

  /// The tiles that hold the given rows; `first` must begin a tile.
  package func slice(first: Int, rows: Int) -> Tiles {
    precondition(first % laneCount == 0, "a slice of tiles begins at a whole tile")
    return Tiles(base: self[first / laneCount], pixels: pixels, rows: rows)
  }
}

/// How a byte becomes a float: byte · scale + shift, per channel.
package struct Normalisation: Sendable {
  package let scale: [Float]
  package let shift: [Float]
  package let channelPixels: Int

  /// (b/255 − mean) / standardDeviation as one multiply-add.
  package init(mean: [Double], standardDeviation: [Double], channelPixels: Int) {
    scale = standardDeviation.map { Float(1 / (255 * $0)) }
    shift = zip(mean, standardDeviation).map { Float(-$0 / $1) }
    self.channelPixels = channelPixels
  }

  package var pixels: Int { channelPixels * scale.count }

  /// Writes 16 rows of bytes as one tile; `rows` holds sixteen pointers, of which the first `count` are rows.
  package func writeTile(
    _ rows: UnsafeMutablePointer<UnsafePointer<UInt8>>, count: Int, into tile: Floats
  ) {
    for lane in count..<laneCount { rows[lane] = rows[0] }
    for channel in 0..<scale.count {
      let first = channel * channelPixels
      var pixel = 0
      while pixel + laneCount <= channelPixels {
        lanes_transpose_bytes(
          rows, Int64(first + pixel), scale[channel], shift[channel], tile + (first + pixel) * laneCount)
        pixel += laneCount
      }
      while pixel < channelPixels {
        // The same multiply-add as the vectors, so that a pixel's bits do not depend on its place.
        var bytes = SIMD16<UInt8>()
        for lane in 0..<laneCount { bytes[lane] = rows[lane][first + pixel] }
        lanes_store(
          tile + (first + pixel) * laneCount, lanes_from_bytes(bytes, scale[channel], shift[channel]))
        pixel += 1
      }
    }
    if count < laneCount { clearLanes(tile, from: count) }
  }

  /// Writes one row of bytes as normalised floats, with the bits that ``writeTile(_:count:into:)`` gives them.
  package func writeRow(_ bytes: UnsafePointer<UInt8>, into row: Floats) {
    for channel in 0..<scale.count {
      for pixel in channel * channelPixels..<(channel + 1) * channelPixels {
        row[pixel] = lanes_from_bytes(SIMD16(repeating: bytes[pixel]), scale[channel], shift[channel])[0]
      }
    }
  }

  /// Writes up to 16 rows of normalised floats as one tile.
  package func writeTile(
    floats rows: UnsafeMutablePointer<UnsafePointer<Float>>, count: Int, into tile: Floats
  ) {
    for pixel in 0..<pixels {
      for lane in 0..<count { tile[pixel &* laneCount &+ lane] = rows[lane][pixel] }
    }
    if count < laneCount { clearLanes(tile, from: count) }
  }

  private func clearLanes(_ tile: Floats, from first: Int) {
    for pixel in 0..<pixels {
      for lane in first..<laneCount { tile[pixel &* laneCount &+ lane] = 0 }
    }
  }
}
