internal import CLanes

// Direct 3×3 convolution over planes whose lanes are rows: four output channels at 2×2 positions are accumulated in
// sixteen vector registers, the weights are broadcast. An output's sum runs over input channels and then taps, both
// ascending, so its bits depend on neither its tile nor its place in the map.

/// Floats that the packed weights of a convolution take.
package func packedWeightCount(inputs: Int, outputs: Int) -> Int { (outputs + 3) / 4 * inputs * 36 }

/// Weights [outputs][inputs][9] as the convolution reads them, [outputs / 4][inputs][9][4], zero where there is no output.
package func packWeights(
  _ weights: UnsafePointer<Float>, inputs: Int, outputs: Int, into packed: Floats
) {
  pack(inputs: inputs, outputs: outputs, into: packed) { output, input, tap in
    weights[(output &* inputs &+ input) &* 9 &+ tap]
  }
}

/// The weights of the convolution that takes a gradient back to the input: outputs and inputs exchanged, taps mirrored.
package func packInputGradientWeights(
  _ weights: UnsafePointer<Float>, inputs: Int, outputs: Int, into packed: Floats
) {
  pack(inputs: outputs, outputs: inputs, into: packed) { output, input, tap in
    weights[(input &* inputs &+ output) &* 9 &+ (8 &- tap)]
  }
}

@inline(__always)
private func pack(inputs: Int, outputs: Int, into packed: Floats, _ weight: (Int, Int, Int) -> Float) {
  var target = packed
  for first in stride(from: 0, to: outputs, by: 4) {
    for input in 0..<inputs {
      for tap in 0..<9 {
        for lane in 0..<4 {
          target[lane] = first &+ lane < outputs ? weight(first &+ lane, input, tap) : 0
        }
        target += 4
      }
    }
  }
}

/// Convolves one tile, border included: z has two rows and two columns fewer than x with its border.
///
/// - Parameters:
///   - x: a map of its own, so that neighbours in a row of the image are neighbours in memory.
///   - weights: packed.
package func convolve(
  _ x: PlaneMap, weights: UnsafePointer<Float>, into z: PlaneMap, tile: Int
) {
  precondition(
    x.columnStride == laneCount && z.height == x.height + 2 * x.border - 2
      && z.width == x.width + 2 * x.border - 2 && z.height >= 2 && z.width >= 2,
    "a 3×3 convolution gives planes two smaller than its input with border, and at least 2×2")
  // A strip of rows of all input channels stays in the core's second cache while the groups of outputs pass by.
  var row = 0
  while row < z.height {
    // In maps of odd size the last square lies one back; it computes some outputs again, to the same bits.
    let top = min(row, z.height &- 2)
    let strip = x.corner(tile, 0) + top &* x.rowStride
    var first = 0
    while first < z.channels {
      let group = weights + first &* 9 &* x.channels
      let count = min(4, z.channels &- first)
      var column = 0
      while column < z.width {
        let left = min(column, z.width &- 2)
        let square = Square(
          strip + left &* laneCount, plane: x.channelStride, row: x.rowStride, channels: x.channels,
          weights: group)
        let target = z[tile, first] + (top &* z.rowStride &+ left &* z.columnStride)
        @inline(__always) func store(
          _ channel: Int, _ v0: SIMD16<Float>, _ v1: SIMD16<Float>, _ v2: SIMD16<Float>, _ v3: SIMD16<Float>
        ) {
          let p = target + channel &* z.channelStride
          lanes_store(p, v0)
          lanes_store(p + z.columnStride, v1)
          lanes_store(p + z.rowStride, v2)
          lanes_store(p + (z.rowStride &+ z.columnStride), v3)
        }
        store(0, square.a0, square.a1, square.a2, square.a3)
        if count > 1 { store(1, square.b0, square.b1, square.b2, square.b3) }
        if count > 2 { store(2, square.c0, square.c1, square.c2, square.c3) }
        if count > 3 { store(3, square.d0, square.d1, square.d2, square.d3) }
        column &+= 2
      }
      first &+= 4
    }
    row &+= 2
  }
}

/// Convolution, then per output channel · scale + shift, 2×2 maximum pool with stride 2 and ReLU, of one tile.
///
/// - Parameters:
///   - weights: packed.
///   - scale, shift: a bias (scale 1) or BatchNorm by running statistics.
///   - y: the pooled planes; odd sizes lose their last row or column.
///   - which: [tile][channel][y][x][16], which of its four positions gave each maximum.
package func convolveAndPool(
  _ x: PlaneMap, weights: UnsafePointer<Float>, scale: UnsafePointer<Float>, shift: UnsafePointer<Float>,
  into y: PlaneMap, which: UnsafeMutablePointer<UInt8>, tile: Int
) {
  precondition(
    x.columnStride == laneCount && y.height == (x.height + 2 * x.border - 2) / 2
      && y.width == (x.width + 2 * x.border - 2) / 2,
    "pooled planes are half the convolution's output")
  let zero = lanes_splat(0)
  let pooled = y.height &* y.width
  for row in 0..<y.height {
    let strip = x.corner(tile, 0) + 2 &* row &* x.rowStride
    var first = 0
    while first < y.channels {
      let group = weights + first &* 9 &* x.channels
      let count = min(4, y.channels &- first)
      for column in 0..<y.width {
        let square = Square(
          strip + 2 &* column &* laneCount, plane: x.channelStride, row: x.rowStride, channels: x.channels,
          weights: group)
        let target = y[tile, first] + (row &* y.rowStride &+ column &* y.columnStride)
        let choice =
          which
          + ((tile &* y.channels &+ first) &* pooled &+ row &* y.width &+ column) &* laneCount
        @inline(__always) func pool(
          _ channel: Int, _ v0: SIMD16<Float>, _ v1: SIMD16<Float>, _ v2: SIMD16<Float>, _ v3: SIMD16<Float>
        ) {
          let a = lanes_splat(scale[first &+ channel])
          let b = lanes_splat(shift[first &+ channel])
          let best = lanes_pool(
            lanes_fma(v0, a, b), lanes_fma(v1, a, b), lanes_fma(v2, a, b), lanes_fma(v3, a, b),
            choice + channel &* pooled &* laneCount)
          lanes_store(target + channel &* y.channelStride, lanes_max(best, zero))
        }
        pool(0, square.a0, square.a1, square.a2, square.a3)
        if count > 1 { pool(1, square.b0, square.b1, square.b2, square.b3) }
        if count > 2 { pool(2, square.c0, square.c1, square.c2, square.c3) }
        if count > 3 { pool(3, square.d0, square.d1, square.d2, square.d3) }
      }
      first &+= 4
    }
  }
}

/// The outputs of four channels (a … d) at the positions (0, 0), (0, 1), (1, 0), (1, 1) of a square.
private struct Square {
  var a0, a1, a2, a3: SIMD16<Float>
  var b0, b1, b2, b3: SIMD16<Float>
  var c0, c1, c2, c3: SIMD16<Float>
  var d0, d1, d2, d3: SIMD16<Float>

  /// - Parameters:
  ///   - start: the square's first tap in the first input plane.
  ///   - plane, row: steps to the next input channel and the next row.
  @inline(__always)
  init(
    _ start: UnsafePointer<Float>, plane: Int, row: Int, channels: Int, weights: UnsafePointer<Float>
  ) {
    let zero = lanes_splat(0)
    var a0 = zero
    var a1 = zero
    var a2 = zero
    var a3 = zero
    var b0 = zero
    var b1 = zero
    var b2 = zero
    var b3 = zero
    var c0 = zero
    var c1 = zero
    var c2 = zero
    var c3 = zero
    var d0 = zero
    var d1 = zero
    var d2 = zero
    var d3 = zero
    var x = start
    var w = weights
    @inline(__always) func tap(_ r: Int, _ c: Int) {
      let p = x + (r &* row &+ c &* laneCount)
      let v = w + (r &* 3 &+ c) &* 4
      let x0 = lanes_load(p)
      let x1 = lanes_load(p + laneCount)
      let x2 = lanes_load(p + row)
      let x3 = lanes_load(p + (row &+ laneCount))
      let w0 = lanes_splat(v[0])
      a0 = lanes_fma(w0, x0, a0)
      a1 = lanes_fma(w0, x1, a1)
      a2 = lanes_fma(w0, x2, a2)
      a3 = lanes_fma(w0, x3, a3)
      let w1 = lanes_splat(v[1])
      b0 = lanes_fma(w1, x0, b0)
      b1 = lanes_fma(w1, x1, b1)
      b2 = lanes_fma(w1, x2, b2)
      b3 = lanes_fma(w1, x3, b3)
      let w2 = lanes_splat(v[2])
      c0 = lanes_fma(w2, x0, c0)
      c1 = lanes_fma(w2, x1, c1)
      c2 = lanes_fma(w2, x2, c2)
      c3 = lanes_fma(w2, x3, c3)
      let w3 = lanes_splat(v[3])
      d0 = lanes_fma(w3, x0, d0)
      d1 = lanes_fma(w3, x1, d1)
      d2 = lanes_fma(w3, x2, d2)
      d3 = lanes_fma(w3, x3, d3)
    }
    var channel = 0
    while channel < channels {
      tap(0, 0)
      tap(0, 1)
      tap(0, 2)
      tap(1, 0)
      tap(1, 1)
      tap(1, 2)
      tap(2, 0)
      tap(2, 1)
      tap(2, 2)
      x += plane
      w += 36
      channel &+= 1
    }
    (self.a0, self.a1, self.a2, self.a3) = (a0, a1, a2, a3)
    (self.b0, self.b1, self.b2, self.b3) = (b0, b1, b2, b3)
    (self.c0, self.c1, self.c2, self.c3) = (c0, c1, c2, c3)
    (self.d0, self.d1, self.d2, self.d3) = (d0, d1, d2, d3)
  }
}
