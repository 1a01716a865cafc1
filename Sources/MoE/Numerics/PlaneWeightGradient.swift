internal import CLanes

/// Adds the gradient of the weights of a 3×3 convolution, dw[o][c][tap] += Σ g[o] · x[c at the tap], over all tiles of the
/// maps. The nine taps of two output channels are accumulated in registers over tiles and positions, then over lanes.
///
/// - Parameters:
///   - x: the convolution's input, a map of its own.
///   - gradient: of the convolution's output, zero in lanes without a row; a map of its own with as many tiles.
///   - weights: [outputs][x.channels][9].
package func addWeightGradient(_ x: PlaneMap, _ gradient: PlaneMap, to weights: Floats) {
  precondition(
    x.columnStride == laneCount && gradient.columnStride == laneCount && x.tiles == gradient.tiles
      && gradient.height == x.height + 2 * x.border - 2 && gradient.width == x.width + 2 * x.border - 2,
    "the gradient belongs to the output of a 3×3 convolution of x")
  // Input planes that stay in a core's second cache while the gradient's planes pass by.
  let share = max(1, (512 << 10) / (x.channelStride * 4 * max(x.tiles, 1)))
  for first in stride(from: 0, to: x.channels, by: share) {
    for output in stride(from: 0, to: gradient.channels, by: 2) {
      let pair = output + 1 < gradient.channels
      for channel in first..<min(first + share, x.channels) {
        addTaps(
          x, channel, gradient, output, pair ? output + 1 : output,
          to: weights + (output * x.channels + channel) * 9,
          and: pair ? weights + ((output + 1) * x.channels + channel) * 9 : nil)
      }
    }
  }
}

@inline(__always)
private func addTaps(
  _ x: PlaneMap, _ channel: Int, _ gradient: PlaneMap, _ first: Int, _ second: Int, to target: Floats,
  and other: Floats?
) {
  let zero = lanes_splat(0)
  var a0 = zero
  var a1 = zero
  var a2 = zero
  var a3 = zero
  var a4 = zero
  var a5 = zero
  var a6 = zero
  var a7 = zero
  var a8 = zero
  var b0 = zero
  var b1 = zero
  var b2 = zero
  var b3 = zero
  var b4 = zero
  var b5 = zero
  var b6 = zero
  var b7 = zero
  var b8 = zero
  let row = x.rowStride
  for tile in 0..<x.tiles {
    let corner = x.corner(tile, channel)
    let planeA = UnsafePointer(gradient[tile, first])
    let planeB = UnsafePointer(gradient[tile, second])
    for y in 0..<gradient.height {
      var p = corner + y &* row
      var offset = y &* gradient.rowStride
      for _ in 0..<gradient.width {
        let ga = lanes_load(planeA + offset)
        let gb = lanes_load(planeB + offset)
        let x0 = lanes_load(p)
        a0 = lanes_fma(ga, x0, a0)
        b0 = lanes_fma(gb, x0, b0)
        let x1 = lanes_load(p + laneCount)
        a1 = lanes_fma(ga, x1, a1)
        b1 = lanes_fma(gb, x1, b1)
        let x2 = lanes_load(p + 2 &* laneCount)
        a2 = lanes_fma(ga, x2, a2)
        b2 = lanes_fma(gb, x2, b2)
        let x3 = lanes_load(p + row)
        a3 = lanes_fma(ga, x3, a3)
        b3 = lanes_fma(gb, x3, b3)
        let x4 = lanes_load(p + (row &+ laneCount))
        a4 = lanes_fma(ga, x4, a4)
        b4 = lanes_fma(gb, x4, b4)
        let x5 = lanes_load(p + (row &+ 2 &* laneCount))
        a5 = lanes_fma(ga, x5, a5)
        b5 = lanes_fma(gb, x5, b5)
        let x6 = lanes_load(p + 2 &* row)
        a6 = lanes_fma(ga, x6, a6)
        b6 = lanes_fma(gb, x6, b6)
        let x7 = lanes_load(p + (2 &* row &+ laneCount))
        a7 = lanes_fma(ga, x7, a7)
        b7 = lanes_fma(gb, x7, b7)
        let x8 = lanes_load(p + (2 &* row &+ 2 &* laneCount))
        a8 = lanes_fma(ga, x8, a8)
        b8 = lanes_fma(gb, x8, b8)
        p += laneCount
        offset &+= laneCount
      }
    }
  }
  target[0] += lanes_total(a0)
  target[1] += lanes_total(a1)
  target[2] += lanes_total(a2)
  target[3] += lanes_total(a3)
  target[4] += lanes_total(a4)
  target[5] += lanes_total(a5)
  target[6] += lanes_total(a6)
  target[7] += lanes_total(a7)
  target[8] += lanes_total(a8)
  guard let other else { return }
  other[0] += lanes_total(b0)
  other[1] += lanes_total(b1)
  other[2] += lanes_total(b2)
  other[3] += lanes_total(b3)
  other[4] += lanes_total(b4)
  other[5] += lanes_total(b5)
  other[6] += lanes_total(b6)
  other[7] += lanes_total(b7)
  other[8] += lanes_total(b8)
}
