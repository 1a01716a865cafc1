internal import CLanes

/// First and second moments of the 3×3 patches of a batch, from which the statistics of a convolution's output follow.
///
/// The output is linear in the patch x ∈ R⁹: its mean is w·E[x] + b, its variance wᵀ Cov(x) w. So BatchNorm behind a
/// convolution over the input needs no pass over the convolution's output.
package struct PatchMoments: Equatable {
  /// Σ x_d over rows and positions, then Σ x_d x_d' for d ≤ d', row by row of the triangle: 9 + 45 sums.
  package var sums: [Double]
  /// Rows × positions.
  package var count: Double

  package static let sumCount = 9 + 45

  package init(sums: [Double], count: Double) {
    self.sums = sums
    self.count = count
  }

  package func mean(_ d: Int) -> Double { sums[d] / count }

  package func covariance(_ a: Int, _ b: Int) -> Double {
    sums[9 + PatchMoments.triangle(min(a, b), max(a, b))] / count - mean(a) * mean(b)
  }

  /// The place of the pair (a, b), a ≤ b, in the row-wise upper triangle.
  static func triangle(_ a: Int, _ b: Int) -> Int { a * 9 - a * (a - 1) / 2 + (b - a) }
}

/// Adds the patch moments of a batch to `sums` (``PatchMoments/sumCount`` numbers).
///
/// A pair of taps (r, c), (r + dy, c + dx) sums x(i + r, j + c) · x(i + r + dy, j + c + dx) over all positions (i, j).
/// All pairs with the same lag (dy, dx) share the products; they differ by the window of them that is summed. So 13 maps
/// of products serve all 45 pairs, and one pass over the pixels themselves the nine means.
package func addPatchMoments(
  _ tiles: Tiles, _ shape: ConvolutionShape, to sums: UnsafeMutablePointer<Double>
) {
  let lags: [(Int, Int)] = [
    (0, 0), (0, 1), (0, 2), (1, -2), (1, -1), (1, 0), (1, 1), (1, 2), (2, -2), (2, -1), (2, 0), (2, 1),
    (2, 2),
  ]
  withUnsafeTemporaryAllocation(of: SIMD16<Float>.self, capacity: 9) { windows in
    for tile in 0..<tiles.count {
      let input = UnsafePointer(tiles[tile])
      sumWindows(input, shape, dy: 0, dx: 0, products: false, into: windows)
      for d in 0..<9 { sums[d] += lanes_sum(windows[d]) }
      for (dy, dx) in lags {
        sumWindows(input, shape, dy: dy, dx: dx, products: true, into: windows)
        for r in 0...(2 - dy) {
          for c in max(0, -dx)...min(2, 2 - dx) {
            let first = r * 3 + c
            let second = (r + dy) * 3 + c + dx
            sums[9 + PatchMoments.triangle(first, second)] += lanes_sum(windows[first])
          }
        }
      }
    }
  }
}

/// Sums x, or the products at one lag, over the window of every tap (r, c) that has a partner at that lag.
private func sumWindows(
  _ input: UnsafePointer<Float>, _ shape: ConvolutionShape, dy: Int, dx: Int, products: Bool,
  into windows: UnsafeMutableBufferPointer<SIMD16<Float>>
) {
  let width = shape.width
  let zero = lanes_splat(0)
  for d in 0..<9 { windows[d] = zero }
  let firstTap = max(0, -dx)
  let lastTap = min(2, 2 - dx)
  let lastRow = 2 - dy
  for y in 0..<shape.convolvedHeight + lastRow {
    let line = input + y &* width &* laneCount
    let partner = line + (dy &* width &+ dx) &* laneCount
    @inline(__always) func value(_ column: Int) -> SIMD16<Float> {
      let x = lanes_load(line + column &* laneCount)
      return products ? x * lanes_load(partner + column &* laneCount) : x
    }
    // The columns that the windows of all taps share, in four interleaved sums.
    var a = zero
    var b = zero
    var c = zero
    var d = zero
    var column = lastTap
    let end = firstTap &+ shape.convolvedWidth
    while column &+ 4 <= end {
      a += value(column)
      b += value(column &+ 1)
      c += value(column &+ 2)
      d += value(column &+ 3)
      column &+= 4
    }
    while column < end {
      a += value(column)
      column &+= 1
    }
    let shared = (a + b) + (c + d)
    for tap in firstTap...lastTap {
      var sum = shared
      for left in tap..<lastTap { sum += value(left) }
      for right in end..<tap &+ shape.convolvedWidth { sum += value(right) }
      for r in 0...lastRow where y >= r && y < r &+ shape.convolvedHeight {
        windows[r &* 3 &+ tap] += sum
      }
    }
  }
}
