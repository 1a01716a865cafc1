internal import CLanes
public import KernelInterface

// Direct 3×3 convolution over planes whose lanes are rows: a group of output channels at 2×2 positions is accumulated in
// registers, the weights are broadcast. An output's sum runs over input channels and then taps, both ascending, so its
// bits depend on neither its group nor its place in the map.

// Output channels that are computed together at most, so that the sums at four positions, their weights and the pixels
// that several taps share fit into the registers: sixteen of them, or thirty-two.
#if KERNELS_V4 || KERNELS_BASE
  @inline(__always) private var groupOutputs: Int { 4 }
#else
  @inline(__always) private var groupOutputs: Int { 2 }
#endif

/// Groups of nearly equal size: a last group of one channel would wait for its own few sums.
private struct Groups {
  let outputs: Int
  let count: Int

  @inline(__always)
  init(outputs: Int) {
    self.outputs = outputs
    count = (outputs &+ groupOutputs &- 1) / groupOutputs
  }

  @inline(__always) func first(_ group: Int) -> Int { group &* outputs / count }
}

extension Kernels {
  @inline(never)
  public static func packWeights(
    _ weights: UnsafePointer<Float>, inputs: Int, outputs: Int, into packed: Floats
  ) {
    pack(inputs: inputs, outputs: outputs, into: packed) { output, input, tap in
      weights[(output &* inputs &+ input) &* 9 &+ tap]
    }
  }

  @inline(never)
  public static func packInputGradientWeights(
    _ weights: UnsafePointer<Float>, inputs: Int, outputs: Int, into packed: Floats
  ) {
    pack(inputs: outputs, outputs: inputs, into: packed) { output, input, tap in
      weights[(input &* inputs &+ output) &* 9 &+ (8 &- tap)]
    }
  }
}

@inline(__always)
private func pack(inputs: Int, outputs: Int, into packed: Floats, _ weight: (Int, Int, Int) -> Float) {
  let groups = Groups(outputs: outputs)
  var target = packed
  for group in 0..<groups.count {
    let (first, end) = (groups.first(group), groups.first(group &+ 1))
    for input in 0..<inputs {
      for tap in 0..<9 {
        for output in first..<end {
          target.pointee = weight(output, input, tap)
          target += 1
        }
      }
    }
  }
}

extension Kernels {
  @inline(never)
  public static func convolve(_ x: PlaneMap, weights: UnsafePointer<Float>, into z: PlaneMap, tile: Int) {
    let groups = Groups(outputs: z.channels)
    let input = SquareInput(row: x.rowStride, plane: x.channelStride, channels: x.channels)
    // A strip of rows of all input channels stays in the core's second cache while the groups of outputs pass by.
    var row = 0
    while row < z.height {
      // In maps of odd size the last square lies one back; it computes some outputs again, to the same bits.
      let top = min(row, z.height &- 2)
      let strip = x.corner(tile, 0) + top &* x.rowStride
      for group in 0..<groups.count {
        let (first, end) = (groups.first(group), groups.first(group &+ 1))
        let w = weights + first &* 9 &* x.channels
        let target = z[tile, first] + top &* z.rowStride
        var column = 0
        while column < z.width {
          let left = min(column, z.width &- 2)
          for part in 0..<parts {
            let offset = part &* vectorWidth
            storeSquare(
              end &- first, strip + (left &* laneCount &+ offset), input, w,
              target + (left &* z.columnStride &+ offset), z.channelStride, z.rowStride, z.columnStride)
          }
          column &+= 2
        }
      }
      row &+= 2
    }
  }

  @inline(never)
  public static func convolveAndPool(
    _ x: PlaneMap, weights: UnsafePointer<Float>, scale: UnsafePointer<Float>, shift: UnsafePointer<Float>,
    into y: PlaneMap, which: UnsafeMutablePointer<UInt8>, tile: Int
  ) {
    let groups = Groups(outputs: y.channels)
    let input = SquareInput(row: x.rowStride, plane: x.channelStride, channels: x.channels)
    let choices = y.height &* y.width &* laneCount
    for row in 0..<y.height {
      let strip = x.corner(tile, 0) + 2 &* row &* x.rowStride
      for group in 0..<groups.count {
        let (first, end) = (groups.first(group), groups.first(group &+ 1))
        let w = weights + first &* 9 &* x.channels
        var target = y[tile, first] + row &* y.rowStride
        var choice = which + ((tile &* y.channels &+ first) &* choices &+ row &* y.width &* laneCount)
        for column in 0..<y.width {
          for part in 0..<parts {
            let offset = part &* vectorWidth
            poolSquare(
              end &- first, strip + (2 &* column &* laneCount &+ offset), input, w, scale + first,
              shift + first, target + offset, y.channelStride, choice + offset, choices)
          }
          target += y.columnStride
          choice += laneCount
        }
      }
    }
  }
}

/// How the input of a square lies: steps to the next row and the next input channel.
private struct SquareInput {
  let row: Int
  let plane: Int
  let channels: Int
}

@inline(__always)
private func storeSquare(
  _ outputs: Int, _ x: UnsafePointer<Float>, _ input: SquareInput, _ weights: UnsafePointer<Float>,
  _ target: Floats, _ channel: Int, _ row: Int, _ column: Int
) {
  @inline(__always) func store<let count: Int>(_ sums: SquareSums<count>.Type) {
    sums.store(x, input.row, input.plane, input.channels, weights, target, channel, row, column)
  }
  switch outputs {
  #if KERNELS_V4 || KERNELS_BASE
    case 4: store(SquareSums<4>.self)
    case 3: store(SquareSums<3>.self)
  #endif
  case 2: store(SquareSums<2>.self)
  default: store(SquareSums<1>.self)
  }
}

@inline(__always)
private func poolSquare(
  _ outputs: Int, _ x: UnsafePointer<Float>, _ input: SquareInput, _ weights: UnsafePointer<Float>,
  _ scale: UnsafePointer<Float>, _ shift: UnsafePointer<Float>, _ target: Floats, _ channel: Int,
  _ which: UnsafeMutablePointer<UInt8>, _ choices: Int
) {
  @inline(__always) func pool<let count: Int>(_ sums: SquareSums<count>.Type) {
    sums.pool(
      x, input.row, input.plane, input.channels, weights, scale, shift, target, channel, which, choices)
  }
  switch outputs {
  #if KERNELS_V4 || KERNELS_BASE
    case 4: pool(SquareSums<4>.self)
    case 3: pool(SquareSums<3>.self)
  #endif
  case 2: pool(SquareSums<2>.self)
  default: pool(SquareSums<1>.self)
  }
}

/// The sums of a group of output channels at the positions (0, 0), (0, 1), (1, 0), (1, 1) of a square.
private struct SquareSums<let outputs: Int> {
  private typealias Sums = InlineArray<outputs, Vector>
  private var a = Sums(repeating: vector_splat(0))
  private var b = Sums(repeating: vector_splat(0))
  private var c = Sums(repeating: vector_splat(0))
  private var d = Sums(repeating: vector_splat(0))

  /// - Parameters:
  ///   - start: the square's first tap in the first input plane.
  ///   - row, plane: steps to the next row and the next input channel.
  ///   - weights: those of the group.
  @inline(__always)
  private init(
    _ start: UnsafePointer<Float>, _ row: Int, _ plane: Int, _ channels: Int, _ weights: UnsafePointer<Float>
  ) {
    var x = start
    var w = weights
    var left = channels
    while left > 0 {
      tap(x, row, w)
      tap(x + laneCount, row, w + outputs)
      tap(x + 2 &* laneCount, row, w + 2 &* outputs)
      tap(x + row, row, w + 3 &* outputs)
      tap(x + (row &+ laneCount), row, w + 4 &* outputs)
      tap(x + (row &+ 2 &* laneCount), row, w + 5 &* outputs)
      tap(x + 2 &* row, row, w + 6 &* outputs)
      tap(x + (2 &* row &+ laneCount), row, w + 7 &* outputs)
      tap(x + (2 &* row &+ 2 &* laneCount), row, w + 8 &* outputs)
      x += plane
      w += 9 &* outputs
      left &-= 1
    }
  }

  /// Adds a tap at the four positions.
  @inline(__always)
  private mutating func tap(_ x: UnsafePointer<Float>, _ row: Int, _ weights: UnsafePointer<Float>) {
    let x0 = vector_load(x)
    let x1 = vector_load(x + laneCount)
    let x2 = vector_load(x + row)
    let x3 = vector_load(x + (row &+ laneCount))
    for i in 0..<outputs {
      let w = vector_splat(weights[i])
      a[i] = vector_fma(w, x0, a[i])
      b[i] = vector_fma(w, x1, b[i])
      c[i] = vector_fma(w, x2, c[i])
      d[i] = vector_fma(w, x3, d[i])
    }
  }

  // What crosses a call is numbers: a structure would be written in pieces and read as a whole.

  /// Writes the sums as they are.
  @inline(never)
  static func store(
    _ x: UnsafePointer<Float>, _ row: Int, _ plane: Int, _ channels: Int, _ weights: UnsafePointer<Float>,
    _ target: Floats, _ channelStep: Int, _ rowStep: Int, _ columnStep: Int
  ) {
    let sums = SquareSums(x, row, plane, channels, weights)
    for i in 0..<outputs {
      let p = target + i &* channelStep
      vector_store(p, sums.a[i])
      vector_store(p + columnStep, sums.b[i])
      vector_store(p + rowStep, sums.c[i])
      vector_store(p + (rowStep &+ columnStep), sums.d[i])
    }
  }

  /// Scales and shifts the sums, and writes the rectified largest.
  @inline(never)
  static func pool(
    _ x: UnsafePointer<Float>, _ row: Int, _ plane: Int, _ channels: Int, _ weights: UnsafePointer<Float>,
    _ scale: UnsafePointer<Float>, _ shift: UnsafePointer<Float>, _ target: Floats, _ channelStep: Int,
    _ which: UnsafeMutablePointer<UInt8>, _ choices: Int
  ) {
    let sums = SquareSums(x, row, plane, channels, weights)
    for i in 0..<outputs {
      let s = vector_splat(scale[i])
      let t = vector_splat(shift[i])
      let best = vector_pool(
        vector_fma(sums.a[i], s, t), vector_fma(sums.b[i], s, t), vector_fma(sums.c[i], s, t),
        vector_fma(sums.d[i], s, t), which + i &* choices)
      vector_store(target + i &* channelStep, vector_max(best, vector_splat(0)))
    }
  }
}
