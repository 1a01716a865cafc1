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
    let (x, y) = (lanes_splat(factor), lanes_splat(term))
    var chains = SixChains()
    for _ in 0..<count { chains.multiplyAdd(x, y) }
    return chains.sum
  }

  /// The same for thirty-two registers of sixteen lanes.
  @inline(never)
  private static func twelveChains(_ count: Int, _ factor: Float, _ term: Float) -> Float {
    let (x, y) = (lanes_splat(factor), lanes_splat(term))
    var (chains, others) = (SixChains(), SixChains())
    for _ in 0..<count {
      chains.multiplyAdd(x, y)
      others.multiplyAdd(x, y)
    }
    return chains.sum + others.sum
  }

  private struct SixChains {
    private var a = lanes_splat(1)
    private var b = lanes_splat(2)
    private var c = lanes_splat(3)
    private var d = lanes_splat(4)
    private var e = lanes_splat(5)
    private var f = lanes_splat(6)

    @inline(__always)
    mutating func multiplyAdd(_ x: SIMD16<Float>, _ y: SIMD16<Float>) {
      a = lanes_fma(a, x, y)
      b = lanes_fma(b, x, y)
      c = lanes_fma(c, x, y)
      d = lanes_fma(d, x, y)
      e = lanes_fma(e, x, y)
      f = lanes_fma(f, x, y)
    }

    var sum: Float { (a + b + c + d + e + f)[0] }
  }
}
