internal import CLanes
public import KernelInterface

// The gradient of the weights of a 3×3 convolution, dw[o][c][tap] += Σ g[o] · x[c at the tap]: taps of a few output channels
// are accumulated in registers over tiles and positions, then over lanes. Large planes are taken strip by strip, so that
// the gradient's strip stays in the first cache while the input channels pass by; their sums wait in memory meanwhile.

/// Positions of a strip at most.
@inline(__always) private var stripPositions: Int { 64 }

/// Output channels that are summed together where so many are left: as many as the registers hold, and whose gradient
/// stays in the first cache, with that of all tiles where planes are small.
@inline(__always)
private func group(_ left: Int, small: Bool) -> Int {
  #if KERNELS_V4 || KERNELS_BASE
    small ? min(left, 2) : left >= 4 ? 4 : min(left, 2)
  #else
    // Two and two rather than three and one.
    left == 4 ? 2 : min(left, 3)
  #endif
}

extension Kernels {
  @inline(never)
  public static func addWeightGradient(
    _ x: PlaneMap, _ gradient: PlaneMap, to weights: Floats, memory: Floats
  ) {
    let positions = gradient.height &* gradient.width
    let rows = max(1, min(gradient.height, stripPositions / max(gradient.width, 1)))
    // All tiles are one strip where a plane has few positions: they would not pay for sums that wait.
    let isWhole = positions < stripPositions || rows == gradient.height && gradient.tiles == 1
    // Input planes that stay in a core's second cache while the gradient's planes pass by.
    let share = max(1, (512 << 10) / (x.channelStride &* 4 &* max(x.tiles, 1)))
    var firstChannel = 0
    while firstChannel < x.channels {
      let channels = firstChannel..<min(firstChannel &+ share, x.channels)
      var output = 0
      while output < gradient.channels {
        let outputs = group(gradient.channels &- output, small: isWhole)
        let target = weights + (output &* x.channels &+ firstChannel) &* 9
        clear(memory, count: 9 &* outputs &* laneCount &* channels.count)
        if isWhole {
          addStrip(x, channels, gradient, output, outputs, tiles: 0..<x.tiles, 0, gradient.height, to: memory)
        } else {
          for tile in 0..<x.tiles {
            var row = 0
            while row < gradient.height {
              let count = min(rows, gradient.height &- row)
              addStrip(
                x, channels, gradient, output, outputs, tiles: tile..<tile &+ 1, row, count, to: memory)
              row &+= rows
            }
          }
        }
        total(memory, outputs, channels.count, to: target, 9 &* x.channels)
        output &+= outputs
      }
      firstChannel &+= share
    }
  }
}

/// Adds the lanes of [channel][tap][output] to [output][channel][tap].
@inline(__always)
private func total(_ sums: Floats, _ outputs: Int, _ channels: Int, to weights: Floats, _ outputStep: Int) {
  var sum = sums
  for tap in 0..<9 &* channels {
    for o in 0..<outputs {
      weights[o &* outputStep &+ tap] += lanes_total(lanes_load(sum))
      sum += laneCount
    }
  }
}

/// Adds what some rows of some tiles give the nine taps of some input channels and a group of outputs.
@inline(__always)
private func addStrip(
  _ x: PlaneMap, _ channels: Range<Int>, _ gradient: PlaneMap, _ output: Int, _ outputs: Int,
  tiles: Range<Int>,
  _ row: Int, _ rows: Int, to sums: Floats
) {
  var sums = sums
  for channel in channels {
    for part in 0..<parts {
      let offset = part &* vectorWidth
      let pixels = x.corner(tiles.lowerBound, channel) + (row &* x.rowStride &+ offset)
      let g = UnsafePointer(gradient[tiles.lowerBound, output]) + (row &* gradient.rowStride &+ offset)
      @inline(__always) func add<let outputs: Int, let taps: Int>(_ kind: TapSums<outputs, taps>.Type) {
        var tap = 0
        while tap < 9 {
          kind.add(
            pixels + tap / 3 &* x.rowStride, x.rowStride, x.tileStride, g, gradient.rowStride,
            gradient.tileStride, gradient.channelStride, tiles.count, rows, gradient.width,
            sums + (tap &* outputs &* laneCount &+ offset))
          tap &+= taps
        }
      }
      switch outputs {
      #if KERNELS_V4 || KERNELS_BASE
        case 4: add(TapSums<4, 3>.self)
        case 2: add(TapSums<2, 9>.self)
      #else
        case 3: add(TapSums<3, 3>.self)
        case 2: add(TapSums<2, 3>.self)
      #endif
      default: add(TapSums<1, 9>.self)
      }
    }
    sums += 9 &* outputs &* laneCount
  }
}

/// Sums of the taps of some output channels, a few rows of three taps at a time, one register of lanes.
private struct TapSums<let outputs: Int, let taps: Int> {
  private typealias Tap = InlineArray<outputs, Vector>
  private var sums = InlineArray<taps, Tap>(repeating: Tap(repeating: vector_splat(0)))

  @inline(__always)
  private init(_ memory: Floats) {
    for tap in 0..<taps {
      for o in 0..<outputs { sums[tap][o] = vector_load(memory + (tap &* outputs &+ o) &* laneCount) }
    }
  }

  /// - Parameters:
  ///   - x: the first position's first tap; `row`, `tile`: steps to the next.
  ///   - g: the first output's gradient; `gRow`, `gTile`, `plane`: steps to the next row, tile and output.
  ///   - memory: the sums, [tap][output][16].
  @inline(never)
  static func add(
    _ x: UnsafePointer<Float>, _ row: Int, _ tile: Int, _ g: UnsafePointer<Float>, _ gRow: Int, _ gTile: Int,
    _ plane: Int, _ tiles: Int, _ rows: Int, _ columns: Int, _ memory: Floats
  ) {
    var all = TapSums(memory)
    for t in 0..<tiles {
      var line = x + t &* tile
      var gradients = g + t &* gTile
      for _ in 0..<rows {
        all.addRow(line, row, gradients, plane, columns)
        line += row
        gradients += gRow
      }
    }
    for tap in 0..<taps {
      for o in 0..<outputs { vector_store(memory + (tap &* outputs &+ o) &* laneCount, all.sums[tap][o]) }
    }
  }

  @inline(__always)
  private mutating func addRow(
    _ x: UnsafePointer<Float>, _ row: Int, _ g: UnsafePointer<Float>, _ plane: Int, _ columns: Int
  ) {
    var p = x
    var q = g
    var left = columns
    while left > 0 {
      var values = Tap(repeating: vector_splat(0))
      for o in 0..<outputs { values[o] = vector_load(q + o &* plane) }
      for tap in 0..<taps {
        let pixel = vector_load(p + (tap / 3 &* row &+ tap % 3 &* laneCount))
        for o in 0..<outputs { sums[tap][o] = vector_fma(values[o], pixel, sums[tap][o]) }
      }
      lanes_read_again()
      p += laneCount
      q += laneCount
      left &-= 1
    }
  }
}
