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
  ///
  /// - Parameter limit: bytes of the file at most.
  package func file(of images: ImageSet, limit: Int = Self.limit) -> [UInt8]? {
    let widest = samples.map(\.count).max() ?? 0
    guard widest > 0, [1, 3].contains(images.shape.channels) else { return nil }
    for halvings in 0...2 {
      var columns = widest
      while columns >= min(4, widest) {
        let file = picture(of: images, columns: columns, halvings: halvings).file
        if file.count <= limit { return file }
        // Rows are alike, so that size goes with length.
        columns = min(columns - 1, columns * limit / file.count)
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
        let image = ReducedImage(Int(sample), of: images, halvings: halvings)
        for y in 0..<height {
          let line = (expert * (height + 1) + y) * lineWidth
          for x in 0..<width {
            for channel in 0..<channels {
              pixels[(line + column * (width + 1) + x) * channels + channel] = image[channel, y, x]
            }
          }
        }
      }
    }
    return PNG(width: lineWidth, height: samples.count * (height + 1), channels: channels, pixels: pixels)
  }
}
