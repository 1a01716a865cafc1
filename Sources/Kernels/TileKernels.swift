internal import CLanes
public import KernelInterface

// How bytes become the floats of a tile, byte · scale + shift, per channel.

extension Kernels {
  @inline(never)
  public static func writeTile(
    _ rows: UnsafePointer<UnsafePointer<UInt8>>, scale: UnsafePointer<Float>, shift: UnsafePointer<Float>,
    channels: Int, channelPixels: Int, into tile: Floats
  ) {
    for channel in 0..<channels {
      let first = channel &* channelPixels
      var pixel = 0
      while pixel &+ laneCount <= channelPixels {
        lanes_transpose_bytes(
          rows, Int64(first &+ pixel), scale[channel], shift[channel], tile + (first &+ pixel) &* laneCount)
        pixel &+= laneCount
      }
      while pixel < channelPixels {
        // The same multiply-add as the vectors, so that a pixel's bits do not depend on its place.
        var bytes = SIMD16<UInt8>()
        for lane in 0..<laneCount { bytes[lane] = rows[lane][first &+ pixel] }
        lanes_store(
          tile + (first &+ pixel) &* laneCount, lanes_from_bytes(bytes, scale[channel], shift[channel]))
        pixel &+= 1
      }
    }
  }

  @inline(never)
  public static func writeRow(
    _ bytes: UnsafePointer<UInt8>, scale: UnsafePointer<Float>, shift: UnsafePointer<Float>, channels: Int,
    channelPixels: Int, into row: Floats
  ) {
    for channel in 0..<channels {
      for pixel in channel &* channelPixels..<(channel &+ 1) &* channelPixels {
        row[pixel] = lanes_from_bytes(SIMD16(repeating: bytes[pixel]), scale[channel], shift[channel])[0]
      }
    }
  }
}
