import KernelInterface
import Numerics
import Testing

/// The kernels of padded convolutions against plain double precision, for channels that fill no group of four and rows
/// that fill no tile.
struct PlaneKernelTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var inputs: Int
    var outputs: Int
    var height: Int
    var width: Int
    var padding = 1
    var rows: Int
    var kernel = 3
    var testDescription: String {
      "\(inputs) → \(outputs), \(height)×\(width), padding \(padding), kernel \(kernel), \(rows) rows"
    }
    var convolution: ReferenceConvolution {
      ReferenceConvolution(filters: outputs, kernel: kernel, padding: padding)
    }
    var input: ImageShape { ImageShape(channels: inputs, height: height, width: width) }
    var output: ImageShape { convolution.output(input) }
    var pooled: ImageShape { ReferenceMaxPool().output(output) }
  }

  static let cases = [
    Case(inputs: 3, outputs: 5, height: 32, width: 32, rows: 3),
    Case(inputs: 4, outputs: 8, height: 16, width: 16, rows: 16),
    Case(inputs: 7, outputs: 2, height: 8, width: 8, rows: 37),
    Case(inputs: 9, outputs: 11, height: 4, width: 4, rows: 37),
    Case(inputs: 2, outputs: 3, height: 7, width: 5, rows: 17),
    Case(inputs: 1, outputs: 1, height: 2, width: 2, rows: 1),
    Case(inputs: 2, outputs: 6, height: 9, width: 12, padding: 0, rows: 5),
  ]

  /// A map and its values, [row][channel][y][x], random in −1 … 1; what is no row is NaN, so that it would be seen.
  final class Planes {
    let map: PlaneMap
    private let memory: Floats
    private(set) var rows: [[Double]] = []

    init(_ size: ImageShape, rows count: Int, border: Int, seed: UInt64?, rest: Float = .nan) {
      let floats = PlaneMap.floats(
        channels: size.channels, height: size.height, width: size.width, rows: count, border: border)
      memory = Floats.allocate(capacity: floats)
      memory.initialize(repeating: rest, count: floats)
      map = PlaneMap(
        base: memory, channels: size.channels, height: size.height, width: size.width, rows: count,
        border: border)
      map.clearBorder()
      guard let seed else { return }
      var values = KernelTests.Values(state: seed)
      for row in 0..<count {
        for c in 0..<size.channels {
          for y in 0..<size.height {
            for x in 0..<size.width { place(row, c, y, x).pointee = values.next() }
          }
        }
      }
      rows = read()
    }

    deinit { memory.deallocate() }

    func place(_ row: Int, _ c: Int, _ y: Int, _ x: Int) -> Floats {
      map[row / 16, c] + y * map.rowStride + x * map.columnStride + row % 16
    }

    func read() -> [[Double]] {
      (0..<map.rows).map { row in
        (0..<map.channels).flatMap { c in
          (0..<map.height).flatMap { y in (0..<map.width).map { Double(place(row, c, y, $0).pointee) } }
        }
      }
    }
  }

  static func floats(_ count: Int, seed: UInt64) -> [Float] {
    var values = KernelTests.Values(state: seed)
    return (0..<count).map { _ in values.next() }
  }

  /// The largest difference; every sum here has at most 400 terms below 1, for which single precision errs below 2e-5.
  static func difference(_ a: [[Double]], _ b: [[Double]]) -> Double {
    zip(a.joined(), b.joined()).reduce(0) { max($0, $1.0.isNaN ? .infinity : abs($1.0 - $1.1)) }
  }

  @Test(arguments: cases)
  func convolutionEqualsItsPlainVersion(_ c: Case) {
    let x = Planes(c.input, rows: c.rows, border: c.padding, seed: 11)
    let weights = PlaneKernelTests.floats(c.outputs * c.inputs * 9, seed: 12)
    var packed = [Float](repeating: 0, count: 9 * c.inputs * c.outputs)
    kernels.packWeights(weights, inputs: c.inputs, outputs: c.outputs, into: &packed)
    let z = Planes(c.output, rows: c.rows, border: 0, seed: nil)
    for tile in 0..<z.map.tiles { kernels.convolve(x.map, weights: packed, into: z.map, tile: tile) }
    let plain = x.rows.map {
      c.convolution.convolve(
        $0, c.input, weight: weights.map { Double($0) }, bias: Array(repeating: 0, count: c.outputs))
    }
    #expect(PlaneKernelTests.difference(z.read(), plain) < 2e-5)

    let general = Planes(c.output, rows: c.rows, border: 0, seed: nil)
    for tile in 0..<z.map.tiles {
      kernels.convolvePlain(x.map, kernel: 3, weights: weights, into: general.map, tile: tile)
    }
    #expect(PlaneKernelTests.difference(general.read(), plain) < 2e-5)
  }

  @Test(arguments: cases)
  func poolingTakesTheFirstLargestOfScaledValues(_ c: Case) {
    let x = Planes(c.input, rows: c.rows, border: c.padding, seed: 21)
    let weights = PlaneKernelTests.floats(c.outputs * c.inputs * 9, seed: 22)
    var packed = [Float](repeating: 0, count: 9 * c.inputs * c.outputs)
    kernels.packWeights(weights, inputs: c.inputs, outputs: c.outputs, into: &packed)
    let scale = PlaneKernelTests.floats(c.outputs, seed: 23)
    let shift = PlaneKernelTests.floats(c.outputs, seed: 24)
    let z = Planes(c.output, rows: c.rows, border: 0, seed: nil)
    let fused = Planes(c.pooled, rows: c.rows, border: 1, seed: nil)
    let apart = Planes(c.pooled, rows: c.rows, border: 0, seed: nil)
    let pooled = c.pooled.area * c.outputs
    var which = [UInt8](repeating: 9, count: z.map.tiles * pooled * 16)
    var other = which
    for tile in 0..<z.map.tiles {
      kernels.convolve(x.map, weights: packed, into: z.map, tile: tile)
      kernels.convolveAndPool(
        x.map, weights: packed, scale: scale, shift: shift, into: fused.map, which: &which, tile: tile)
      other.withUnsafeMutableBufferPointer { choices in
        for channel in 0..<c.outputs {
          kernels.scaleAndPool(
            z.map, tile: tile, channel: channel, scale: scale[channel], shift: shift[channel],
            into: apart.map,
            which: choices.baseAddress! + (tile * c.outputs + channel) * c.pooled.area * 16)
        }
      }
    }
    let area = c.output.area
    let unpooled = z.read().map { row in
      row.indices.map { row[$0] * Double(scale[$0 / area]) + Double(shift[$0 / area]) }
    }
    let plain = unpooled.map { row in ReferenceMaxPool().choices(row, c.output).map { max(row[$0], 0) } }
    #expect(PlaneKernelTests.difference(fused.read(), plain) < 2e-5)
    #expect(apart.read() == fused.read())
    #expect(which == other)
    // The choice names a value that is the largest, up to rounding.
    for row in 0..<c.rows {
      for place in 0..<pooled {
        let k = Int(which[(row / 16 * pooled + place) * 16 + row % 16])
        let channel = place / c.pooled.area
        let y = place % c.pooled.area / c.pooled.width * 2 + k / 2
        let column = place % c.pooled.width * 2 + k % 2
        let value = unpooled[row][(channel * c.output.height + y) * c.output.width + column]
        #expect(abs(max(value, 0) - plain[row][place]) < 2e-5)
      }
    }
  }

  @Test(arguments: cases)
  func gradientsEqualTheirPlainVersions(_ c: Case) {
    let x = Planes(c.input, rows: c.rows, border: c.padding, seed: 31, rest: 0.5)
    let g = Planes(c.output, rows: c.rows, border: 1, seed: 32, rest: 0)
    let weights = PlaneKernelTests.floats(c.outputs * c.inputs * 9, seed: 33)
    var ofWeights = [Double](repeating: 0, count: weights.count)
    var below = x.rows.map { $0.map { _ in 0.0 } }
    for row in 0..<c.rows {
      c.convolution.forEachTap(c.input) { output, input, tap in
        ofWeights[tap] += g.rows[row][output] * x.rows[row][input]
        below[row][input] += g.rows[row][output] * Double(weights[tap])
      }
    }
    let tolerance = 2e-6 * Double(c.rows * c.output.area).squareRoot() + 2e-6
    var fast = PlaneKernelTests.floats(weights.count, seed: 34)
    let before = fast
    var memory = [Float](repeating: 0, count: x.map.channels * 36 * laneCount)
    kernels.addWeightGradient(x.map, g.map, to: &fast, memory: &memory)
    let added = zip(fast, before).map { Double($0) - Double($1) }
    #expect(PlaneKernelTests.difference([added], [ofWeights]) < tolerance)
    var plain = [Float](repeating: 0, count: weights.count)
    kernels.addPlainWeightGradient(x.map, g.map, kernel: 3, to: &plain)
    #expect(PlaneKernelTests.difference([plain.map { Double($0) }], [ofWeights]) < tolerance)

    guard c.padding == 1 else { return }
    var packed = [Float](repeating: 0, count: 9 * c.outputs * c.inputs)
    kernels.packInputGradientWeights(weights, inputs: c.inputs, outputs: c.outputs, into: &packed)
    let result = Planes(c.input, rows: c.rows, border: 0, seed: nil)
    for tile in 0..<g.map.tiles { kernels.convolve(g.map, weights: packed, into: result.map, tile: tile) }
    #expect(PlaneKernelTests.difference(result.read(), below) < 2e-5)
  }

  @Test(arguments: [1, 16, 21])
  func momentsCountTheRowsAlone(rows: Int) {
    let z = Planes(ImageShape(channels: 2, height: 5, width: 6), rows: rows, border: 0, seed: 41)
    for channel in 0..<2 {
      var sum = 0.0
      var squares = 0.0
      for tile in 0..<z.map.tiles {
        let part = kernels.planeMoments(z.map, tile: tile, channel: channel)
        sum += part.sum
        squares += part.squares
      }
      let values = z.rows.flatMap { $0[channel * 30..<(channel + 1) * 30] }
      let plainSum: Double = values.reduce(0, +)
      let plainSquares: Double = values.map { $0 * $0 }.reduce(0, +)
      let tolerance = 1e-12 * Double(values.count)
      #expect(abs(sum - plainSum) < tolerance)
      #expect(abs(squares - plainSquares) < tolerance)
    }
  }

  /// A row alone has the bits that it has in any place of a batch.
  @Test func aRowsBitsDoNotDependOnItsPlace() {
    let shape = Case(inputs: 3, outputs: 6, height: 6, width: 6, rows: 35)
    let x = Planes(shape.input, rows: 35, border: 1, seed: 51)
    let weights = PlaneKernelTests.floats(6 * 3 * 9, seed: 52)
    var packed = [Float](repeating: 0, count: 9 * 3 * 6)
    kernels.packWeights(weights, inputs: 3, outputs: 6, into: &packed)
    let z = Planes(shape.output, rows: 35, border: 0, seed: nil)
    for tile in 0..<3 { kernels.convolve(x.map, weights: packed, into: z.map, tile: tile) }
    let all = z.read()
    for row in 0..<35 {
      let alone = Planes(shape.input, rows: 1, border: 1, seed: nil)
      for c in 0..<3 {
        for y in 0..<6 { for i in 0..<6 { alone.place(0, c, y, i).pointee = x.place(row, c, y, i).pointee } }
      }
      let single = Planes(shape.output, rows: 1, border: 0, seed: nil)
      kernels.convolve(alone.map, weights: packed, into: single.map, tile: 0)
      #expect(single.read()[0] == all[row])
    }
  }
}
