package import KernelInterface

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
    kernels.writeTile(
      rows, scale: scale, shift: shift, channels: scale.count, channelPixels: channelPixels, into: tile)
    if count < laneCount { clearLanes(tile, from: count) }
  }

  /// Writes one row of bytes as normalised floats, with the bits that ``writeTile(_:count:into:)`` gives them.
  package func writeRow(_ bytes: UnsafePointer<UInt8>, into row: Floats) {
    kernels.writeRow(
      bytes, scale: scale, shift: shift, channels: scale.count, channelPixels: channelPixels, into: row)
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
