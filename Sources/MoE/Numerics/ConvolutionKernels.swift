internal import CLanes

/// Sizes of a 3×3 valid convolution over one channel followed by a 2×2 maximum pool with stride 2.
package struct ConvolutionShape: Equatable, Sendable {
  package let height: Int
  package let width: Int
  package let filters: Int

  package init(height: Int, width: Int, filters: Int) {
    self.height = height
    self.width = width
    self.filters = filters
  }

  package var convolvedHeight: Int { height - 2 }
  package var convolvedWidth: Int { width - 2 }
  /// Positions of the convolution's output, over which BatchNorm takes its statistics.
  package var positions: Int { convolvedHeight * convolvedWidth }
  package var pooledHeight: Int { convolvedHeight / 2 }
  package var pooledWidth: Int { convolvedWidth / 2 }
  package var pooled: Int { pooledHeight * pooledWidth }
  /// Features after pooling, channel-major as PyTorch flattens them.
  package var features: Int { filters * pooled }
}

/// Convolution, bias, pooling and ReLU in one pass.
///
/// - Parameters:
///   - weights: [filters][9], and one bias per filter.
///   - output: [features][rows], the rectified maxima.
///   - which: [features][columns], which of its four positions gave each maximum.
package func convolvePoolRectify(
  _ tiles: Tiles, _ shape: ConvolutionShape, weights: UnsafePointer<Float>, bias: UnsafePointer<Float>,
  into output: FeatureMap, which: UnsafeMutablePointer<UInt8>
) {
  let width = shape.width
  let columns = output.columns
  let zero = lanes_splat(0)
  for tile in 0..<tiles.count {
    let input = tiles[tile]
    for filter in 0..<shape.filters {
      let w = weights + filter * 9
      let w0 = lanes_splat(w[0])
      let w1 = lanes_splat(w[1])
      let w2 = lanes_splat(w[2])
      let w3 = lanes_splat(w[3])
      let w4 = lanes_splat(w[4])
      let w5 = lanes_splat(w[5])
      let w6 = lanes_splat(w[6])
      let w7 = lanes_splat(w[7])
      let w8 = lanes_splat(w[8])
      let b = lanes_splat(bias[filter])
      var feature = filter &* shape.pooled
      for i in 0..<shape.pooledHeight {
        var x = UnsafePointer(input + 2 &* i &* width &* laneCount)
        for _ in 0..<shape.pooledWidth {
          @inline(__always) func at(_ row: Int, _ column: Int) -> SIMD16<Float> {
            lanes_load(x + (row &* width &+ column) &* laneCount)
          }
          @inline(__always) func convolved(_ row: Int, _ column: Int) -> SIMD16<Float> {
            var sum = lanes_fma(w0, at(row, column), b)
            sum = lanes_fma(w1, at(row, column &+ 1), sum)
            sum = lanes_fma(w2, at(row, column &+ 2), sum)
            sum = lanes_fma(w3, at(row &+ 1, column), sum)
            sum = lanes_fma(w4, at(row &+ 1, column &+ 1), sum)
            sum = lanes_fma(w5, at(row &+ 1, column &+ 2), sum)
            sum = lanes_fma(w6, at(row &+ 2, column), sum)
            sum = lanes_fma(w7, at(row &+ 2, column &+ 1), sum)
            return lanes_fma(w8, at(row &+ 2, column &+ 2), sum)
          }
          let best = lanes_pool(
            convolved(0, 0), convolved(0, 1), convolved(1, 0), convolved(1, 1),
            which + (feature &* columns &+ tile &* laneCount))
          lanes_store(output[feature] + tile &* laneCount, lanes_max(best, zero))
          feature &+= 1
          x += 2 &* laneCount
        }
      }
    }
  }
}

/// Sums that the gradients of the convolution follow from, per filter: Σ g·x_d for the nine taps d, and Σ g.
///
/// Only the position that gave each maximum takes part; a pooled value of zero was cut off by ReLU and has no gradient.
/// - Parameters:
///   - gradient: [features][rows], of the pooled and rectified values; zero behind the last row.
///   - sums: [filters][10] in double precision, overwritten.
package func convolutionGradientSums(
  _ tiles: Tiles, _ shape: ConvolutionShape, activation: FeatureMap, gradient: FeatureMap,
  which: UnsafePointer<UInt8>, into sums: UnsafeMutablePointer<Double>
) {
  let width = shape.width
  let columns = activation.columns
  sums.update(repeating: 0, count: shape.filters * 10)
  for tile in 0..<tiles.count {
    let input = tiles[tile]
    for filter in 0..<shape.filters {
      var s0 = lanes_splat(0)
      var s1 = s0
      var s2 = s0
      var s3 = s0
      var s4 = s0
      var s5 = s0
      var s6 = s0
      var s7 = s0
      var s8 = s0
      var total = s0
      var feature = filter &* shape.pooled
      for i in 0..<shape.pooledHeight {
        var x = UnsafePointer(input + 2 &* i &* width &* laneCount)
        for _ in 0..<shape.pooledWidth {
          let offset = tile &* laneCount
          let g = lanes_where_positive(
            lanes_load(activation[feature] + offset), lanes_load(gradient[feature] + offset))
          let k = lanes_load_which(which + (feature &* columns &+ offset))
          total += g
          @inline(__always) func at(_ row: Int, _ column: Int) -> SIMD16<Float> {
            lanes_load(x + (row &* width &+ column) &* laneCount)
          }
          @inline(__always) func accumulate(_ choice: Int32, _ row: Int, _ column: Int) {
            let part = lanes_where_equal(k, choice, g)
            s0 = lanes_fma(part, at(row, column), s0)
            s1 = lanes_fma(part, at(row, column &+ 1), s1)
            s2 = lanes_fma(part, at(row, column &+ 2), s2)
            s3 = lanes_fma(part, at(row &+ 1, column), s3)
            s4 = lanes_fma(part, at(row &+ 1, column &+ 1), s4)
            s5 = lanes_fma(part, at(row &+ 1, column &+ 2), s5)
            s6 = lanes_fma(part, at(row &+ 2, column), s6)
            s7 = lanes_fma(part, at(row &+ 2, column &+ 1), s7)
            s8 = lanes_fma(part, at(row &+ 2, column &+ 2), s8)
          }
          accumulate(0, 0, 0)
          accumulate(1, 0, 1)
          accumulate(2, 1, 0)
          accumulate(3, 1, 1)
          feature &+= 1
          x += 2 &* laneCount
        }
      }
      let target = sums + filter * 10
      target[0] += lanes_sum(s0)
      target[1] += lanes_sum(s1)
      target[2] += lanes_sum(s2)
      target[3] += lanes_sum(s3)
      target[4] += lanes_sum(s4)
      target[5] += lanes_sum(s5)
      target[6] += lanes_sum(s6)
      target[7] += lanes_sum(s7)
      target[8] += lanes_sum(s8)
      target[9] += lanes_sum(total)
    }
  }
}
