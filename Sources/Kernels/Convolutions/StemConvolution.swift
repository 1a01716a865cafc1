internal import CLanes
public import KernelInterface

// The convolution over one channel with bias, 2×2 maximum pool and ReLU in one pass. A pooled value takes sixteen pixels,
// each of which is read once and used for the up to four outputs that it is a tap of.

/// Calls the body for the sixteen pixels of a pooled value, row by row, so that every output takes its taps in ascending
/// order. The numbers are constants where the body is inlined.
@inline(__always)
private func forEachPixel(_ body: (_ row: Int, _ column: Int) -> Void) {
  body(0, 0)
  body(0, 1)
  body(0, 2)
  body(0, 3)
  body(1, 0)
  body(1, 1)
  body(1, 2)
  body(1, 3)
  body(2, 0)
  body(2, 1)
  body(2, 2)
  body(2, 3)
  body(3, 0)
  body(3, 1)
  body(3, 2)
  body(3, 3)
}

/// The outputs of a filter at the positions (0, 0), (0, 1), (1, 0), (1, 1) that are pooled together.
private struct PooledOutputs {
  private let weights: InlineArray<9, Vector>
  private let bias: Vector
  private var a, b, c, d: Vector

  /// - Parameter weights: nine.
  @inline(__always)
  init(_ weights: UnsafePointer<Float>, bias: Float) {
    var w = InlineArray<9, Vector>(repeating: vector_splat(weights[0]))
    w[1] = vector_splat(weights[1])
    w[2] = vector_splat(weights[2])
    w[3] = vector_splat(weights[3])
    w[4] = vector_splat(weights[4])
    w[5] = vector_splat(weights[5])
    w[6] = vector_splat(weights[6])
    w[7] = vector_splat(weights[7])
    w[8] = vector_splat(weights[8])
    self.weights = w
    self.bias = vector_splat(bias)
    (a, b, c, d) = (self.bias, self.bias, self.bias, self.bias)
  }

  @inline(__always)
  mutating func begin() { (a, b, c, d) = (bias, bias, bias, bias) }

  /// Takes a pixel to the outputs that it is a tap of.
  @inline(__always)
  mutating func add(_ pixel: Vector, _ row: Int, _ column: Int) {
    if row < 3 && column < 3 { a = vector_fma(weights[row &* 3 &+ column], pixel, a) }
    if row < 3 && column > 0 { b = vector_fma(weights[row &* 3 &+ column &- 1], pixel, b) }
    if row > 0 && column < 3 { c = vector_fma(weights[row &* 3 &+ column &- 3], pixel, c) }
    if row > 0 && column > 0 { d = vector_fma(weights[row &* 3 &+ column &- 4], pixel, d) }
  }

  @inline(__always)
  func store(_ target: Floats, _ which: UnsafeMutablePointer<UInt8>) {
    vector_store(target, vector_max(vector_pool(a, b, c, d, which), vector_splat(0)))
  }
}

extension Kernels {
  @inline(never)
  public static func convolvePoolRectify(
    _ tiles: Tiles, _ shape: ConvolutionShape, weights: UnsafePointer<Float>, bias: UnsafePointer<Float>,
    into output: FeatureMap, which: UnsafeMutablePointer<UInt8>
  ) {
    for tile in 0..<tiles.count {
      let lanes = tile &* laneCount
      for i in 0..<shape.pooledHeight {
        // Four lines of pixels stay in the first cache while the filters pass by.
        let line = UnsafePointer(tiles[tile] + 2 &* i &* shape.width &* laneCount)
        for filter in 0..<shape.filters {
          let feature = filter &* shape.pooled &+ i &* shape.pooledWidth
          poolRow(
            line, shape, output, PooledOutputs(weights + filter &* 9, bias: bias[filter]),
            output[feature] + lanes, which + (feature &* output.columns &+ lanes))
        }
      }
    }
  }
}

/// A row of pooled values of one filter.
@inline(__always)
private func poolRow(
  _ pixels: UnsafePointer<Float>, _ shape: ConvolutionShape, _ output: FeatureMap, _ filter: PooledOutputs,
  _ target: Floats, _ which: UnsafeMutablePointer<UInt8>
) {
  let row = shape.width &* laneCount
  var (x, target, which, outputs) = (pixels, target, which, filter)
  for _ in 0..<shape.pooledWidth {
    for part in 0..<parts {
      let offset = part &* vectorWidth
      outputs.begin()
      forEachPixel { r, c in outputs.add(vector_load(x + (r &* row &+ c &* laneCount &+ offset)), r, c) }
      outputs.store(target + offset, which + offset)
    }
    x += 2 &* laneCount
    target += output.stride
    which += output.columns
  }
}

extension Kernels {
  @inline(never)
  public static func convolutionGradientSums(
    _ tiles: Tiles, _ shape: ConvolutionShape, activation: FeatureMap, gradient: FeatureMap,
    which: UnsafePointer<UInt8>, into sums: UnsafeMutablePointer<Double>, memory: Floats
  ) {
    for i in 0..<shape.filters &* 10 { sums[i] = 0 }
    for tile in 0..<tiles.count {
      // Per filter the ten sums of sixteen lanes, which wait here while other filters use the same pixels.
      clear(memory, count: shape.filters &* 10 &* laneCount)
      for i in 0..<shape.pooledHeight {
        let line = UnsafePointer(tiles[tile] + 2 &* i &* shape.width &* laneCount)
        for filter in 0..<shape.filters {
          let feature = filter &* shape.pooled &+ i &* shape.pooledWidth
          for part in 0..<parts {
            let offset = part &* vectorWidth
            let lanes = tile &* laneCount &+ offset
            addRow(
              line + offset, shape, activation[feature] + lanes, gradient[feature] + lanes,
              stride: activation.stride, which + (feature &* activation.columns &+ lanes),
              activation.columns, to: memory + (filter &* 10 &* laneCount &+ offset))
          }
        }
      }
      for i in 0..<shape.filters &* 10 { sums[i] += lanes_sum(lanes_load(memory + i &* laneCount)) }
    }
  }
}

/// Adds what a row of pooled values says of one filter to its ten sums, each of which is laneCount floats.
@inline(__always)
private func addRow(
  _ pixels: UnsafePointer<Float>, _ shape: ConvolutionShape, _ activation: UnsafePointer<Float>,
  _ gradient: UnsafePointer<Float>, stride: Int, _ which: UnsafePointer<UInt8>, _ columns: Int,
  to sums: Floats
) {
  let row = shape.width &* laneCount
  let next = shape.pooledWidth &* stride
  var taps = InlineArray<9, Vector>(repeating: vector_load(sums))
  taps[1] = vector_load(sums + laneCount)
  taps[2] = vector_load(sums + 2 &* laneCount)
  taps[3] = vector_load(sums + 3 &* laneCount)
  taps[4] = vector_load(sums + 4 &* laneCount)
  taps[5] = vector_load(sums + 5 &* laneCount)
  taps[6] = vector_load(sums + 6 &* laneCount)
  taps[7] = vector_load(sums + 7 &* laneCount)
  taps[8] = vector_load(sums + 8 &* laneCount)
  var total = vector_load(sums + 9 &* laneCount)
  var (x, v, g, choice) = (pixels, activation, gradient, which)
  for _ in 0..<shape.pooledWidth {
    let value = vector_where_positive(vector_load(v), vector_load(g))
    let k = vector_load_which(choice)
    total += value
    // The gradient at each of the four positions.
    let a = vector_where_equal(k, 0, value)
    let b = vector_where_equal(k, 1, value)
    let c = vector_where_equal(k, 2, value)
    let d = vector_where_equal(k, 3, value)
    forEachPixel { r, column in
      let pixel = vector_load(x + (r &* row &+ column &* laneCount))
      if r < 3 && column < 3 { taps[r &* 3 &+ column] = vector_fma(a, pixel, taps[r &* 3 &+ column]) }
      if r < 3 && column > 0 {
        taps[r &* 3 &+ column &- 1] = vector_fma(b, pixel, taps[r &* 3 &+ column &- 1])
      }
      if r > 0 && column < 3 {
        taps[r &* 3 &+ column &- 3] = vector_fma(c, pixel, taps[r &* 3 &+ column &- 3])
      }
      if r > 0 && column > 0 {
        taps[r &* 3 &+ column &- 4] = vector_fma(d, pixel, taps[r &* 3 &+ column &- 4])
      }
    }
    // The lines of the next row of maxima, which are far apart.
    lanes_prefetch_near(v + next)
    lanes_prefetch_near(g + next)
    x += 2 &* laneCount
    v += stride
    g += stride
    choice += columns
  }
  for tap in 0..<9 { vector_store(sums + tap &* laneCount, taps[tap]) }
  vector_store(sums + 9 &* laneCount, total)
}
