/// Which expert takes which classes, as a grey picture: a row per expert, a column per class, and a cell the darker the
/// larger the part of its class that chose its expert; white is none, black all. Lines between the cells are light grey.
package struct ClassMap {
  /// More experts or classes have no picture.
  private static let most = 256

  /// [E][C] samples.
  private let counts: [[Int]]
  private let classes: Int

  /// Nil for a table that is empty or too large.
  package init?(_ counts: [[Int]]) {
    let classes = counts.first?.count ?? 0
    guard classes > 0, max(counts.count, classes) <= Self.most, counts.allSatisfy({ $0.count == classes })
    else { return nil }
    self.counts = counts
    self.classes = classes
  }

  package var picture: PNG {
    let cell = classes <= 20 ? 16 : 8
    let (width, height) = (classes * cell, counts.count * cell)
    let sums = (0..<classes).map { column in counts.reduce(0) { $0 + $1[column] } }
    var pixels = [UInt8](repeating: 224, count: width * height)
    for (row, line) in counts.enumerated() {
      for (column, count) in line.enumerated() {
        let (sum, y, x) = (max(sums[column], 1), row * cell, column * cell)
        let grey = UInt8(255 - (255 * count + sum / 2) / sum)
        for dy in 0..<cell - 1 {
          for dx in 0..<cell - 1 { pixels[(y + dy) * width + x + dx] = grey }
        }
      }
    }
    return PNG(width: width, height: height, channels: 1, pixels: pixels)
  }
}
