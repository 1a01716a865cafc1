internal import Numerics

/// What every expert sees: a row of images per expert, the first that chose it, as one picture.
///
/// An image's pixels are followed by a line of white to its right and below, so that row e of a wall of E experts begins at
/// e/E of its height. Where the picture would be larger than a page bears, a row has fewer images, or images of half the
/// size, each pixel the mean of four.
package struct ImageWall {
  /// Images in a row at most.
  package static let columns = 20
  /// Bytes of the file at most; a report embeds it in 4/3 as many.
  package static let limit = 36_000

  /// The samples of every expert, in their order.
  private var samples: [[Int32]]
  private var wanted: Int

  /// - Parameter experts: rows, at least 1.
  package init(experts: Int) {
    samples = Array(repeating: [], count: experts)
    wanted = experts * Self.columns
  }

  /// Whether every row is full.
  package var isFull: Bool { wanted == 0 }

  /// Adds a sample to the row of its expert, where there is room.
  package mutating func add(_ sample: Int32, expert: Int) {
    guard samples[expert].count < Self.columns else { return }
    samples[expert].append(sample)
    wanted -= 1
  }

  /// The picture as a PNG file; nil where not even the smallest is small enough.
  package func file(of images: ImageSet) -> [UInt8]? {
    let widest = samples.map(\.count).max() ?? 0
    guard widest > 0, [1, 3].contains(images.shape.channels) else { return nil }
    for halvings in 0...2 {
      var columns = widest
      while columns >= min(4, widest) {
        let file = picture(of: images, columns: columns, halvings: halvings).file
        if file.count <= Self.limit { return file }
        // Rows are alike, so that size goes with length.
        columns = min(columns - 1, columns * Self.limit / file.count)
      }
    }
    return nil
  }

  private func picture(of images: ImageSet, columns: Int, halvings: Int) -> PNG {
    let shape = images.shape
    let (height, width) = (max(shape.height >> halvings, 1), max(shape.width >> halvings, 1))
    let (channels, lineWidth) = (shape.channels, columns * (width + 1))
    var pixels = [UInt8](repeating: 255, count: samples.count * (height + 1) * lineWidth * channels)
    for (expert, row) in samples.enumerated() {
      for (column, sample) in row.prefix(columns).enumerated() {
        let image = images.images.base + Int(sample) * shape.pixels
        for y in 0..<height {
          let line = (expert * (height + 1) + y) * lineWidth
          for x in 0..<width {
            for channel in 0..<channels {
              pixels[(line + column * (width + 1) + x) * channels + channel] = Self.mean(
                image + channel * shape.height * shape.width, shape, y << halvings, x << halvings,
                size: 1 << halvings)
            }
          }
        }
      }
    }
    return PNG(width: lineWidth, height: samples.count * (height + 1), channels: channels, pixels: pixels)
  }

  /// The mean of a square of a plane, rounded to nearest, as far as the plane goes.
  private static func mean(
    _ plane: UnsafePointer<UInt8>, _ shape: ImageShape, _ top: Int, _ left: Int, size: Int
  ) -> UInt8 {
    var (sum, count) = (0, 0)
    for y in top..<min(top + size, shape.height) {
      for x in left..<min(left + size, shape.width) {
        sum += Int(plane[y * shape.width + x])
        count += 1
      }
    }
    return UInt8((sum + count / 2) / max(count, 1))
  }
}
