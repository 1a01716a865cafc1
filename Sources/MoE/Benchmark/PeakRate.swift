internal import CLanes

/// The most that this core computes: fused multiply-adds on registers alone.
package enum PeakRate {
  /// FLOP/s, the best of several repeats.
  package static func measure(repeats: Int = 12) -> Double {
    let isWide = Lanes.instructionSet == "AVX-512"
    let count = 200_000
    let chains = isWide ? 12 : 6
    var best = Double.infinity
    for _ in 0..<repeats {
      let begin = PhaseClock.now()
      sink = isWide ? twelveChains(count, 0.999_999, 1e-6) : sixChains(count, 0.999_999, 1e-6)
      best = min(best, PhaseClock.now() - begin)
    }
    return Double(2 * laneCount * chains * count) / best
  }

  /// Where results go, so that they are computed.
  nonisolated(unsafe) private static var sink = Float(0)

  /// Enough chains to hide the latency of an instruction on two ports, as many as sixteen registers hold.
  @inline(never)
  private static func sixChains(_ count: Int, _ factor: Float, _ term: Float) -> Float {
    let x = lanes_splat(factor)
    let y = lanes_splat(term)
    var (a, b, c) = (lanes_splat(1), lanes_splat(2), lanes_splat(3))
    var (d, e, f) = (lanes_splat(4), lanes_splat(5), lanes_splat(6))
    for _ in 0..<count {
      a = lanes_fma(a, x, y)
      b = lanes_fma(b, x, y)
      c = lanes_fma(c, x, y)
      d = lanes_fma(d, x, y)
      e = lanes_fma(e, x, y)
      f = lanes_fma(f, x, y)
    }
    return (a + b + c + d + e + f)[0]
  }

  /// The same for thirty-two registers of sixteen lanes.
  @inline(never)
  private static func twelveChains(_ count: Int, _ factor: Float, _ term: Float) -> Float {
    let x = lanes_splat(factor)
    let y = lanes_splat(term)
    var (a, b, c) = (lanes_splat(1), lanes_splat(2), lanes_splat(3))
    var (d, e, f) = (lanes_splat(4), lanes_splat(5), lanes_splat(6))
    var (g, h, i) = (lanes_splat(7), lanes_splat(8), lanes_splat(9))
    var (j, k, l) = (lanes_splat(10), lanes_splat(11), lanes_splat(12))
    for _ in 0..<count {
      a = lanes_fma(a, x, y)
      b = lanes_fma(b, x, y)
      c = lanes_fma(c, x, y)
      d = lanes_fma(d, x, y)
      e = lanes_fma(e, x, y)
      f = lanes_fma(f, x, y)
      g = lanes_fma(g, x, y)
      h = lanes_fma(h, x, y)
      i = lanes_fma(i, x, y)
      j = lanes_fma(j, x, y)
      k = lanes_fma(k, x, y)
      l = lanes_fma(l, x, y)
    }
    return (a + b + c + d + e + f + g + h + i + j + k + l)[0]
  }
}
