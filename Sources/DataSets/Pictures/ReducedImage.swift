internal import Numerics

/// An image of raw bytes, each value the mean of a square of pixels.
package struct ReducedImage {
  private let bytes: UnsafePointer<UInt8>
  private let shape: ImageShape
  private let halvings: Int
  package let height: Int
  package let width: Int
  package var channels: Int { shape.channels }

  /// - Parameters:
  ///   - images: must live as long as this value.
  ///   - halvings: how often the size is halved; squares have 2^halvings pixels each way.
  package init(_ sample: Int, of images: ImageSet, halvings: Int = 0) {
    shape = images.shape
    bytes = images.images.base + sample * shape.pixels
    self.halvings = halvings
    height = max(shape.height >> halvings, 1)
    width = max(shape.width >> halvings, 1)
  }

  /// The mean, rounded to nearest, of the square as far as the image goes.
  package subscript(channel: Int, y: Int, x: Int) -> UInt8 {
    let plane = bytes + channel * shape.height * shape.width
    let (top, left, size) = (y << halvings, x << halvings, 1 << halvings)
    var (sum, count) = (0, 0)
    for y in top..<min(top + size, shape.height) {
      for x in left..<min(left + size, shape.width) {
        sum += Int(plane[y * shape.width + x])
        count += 1
      }
    }
    return UInt8((sum + count / 2) / max(count, 1))
  }

  /// The image as a PNG file; nil where it is neither grey nor of three colours.
  package var file: [UInt8]? {
    guard [1, 3].contains(channels) else { return nil }
    var pixels: [UInt8] = []
    pixels.reserveCapacity(height * width * channels)
    for y in 0..<height {
      for x in 0..<width {
        for channel in 0..<channels { pixels.append(self[channel, y, x]) }
      }
    }
    return PNG(width: width, height: height, channels: channels, pixels: pixels).file
  }
}
