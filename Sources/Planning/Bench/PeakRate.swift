internal import KernelInterface
internal import Numerics
internal import Training

/// What this core computes at most: fused multiply-adds on registers alone, at the level in use.
package enum PeakRate {
  /// Rounds of one measurement, about a tenth of a millisecond.
  private static let rounds = 20_000

  /// FLOP/s, measured once.
  package static func sample() -> Double {
    let begin = PhaseClock.now()
    let flops = kernels.multiplyAdds(rounds: rounds)
    return Double(flops) / (PhaseClock.now() - begin)
  }

  /// FLOP/s, the best of several repeats.
  package static func measure(repeats: Int = 24) -> Double {
    (0..<repeats).reduce(0) { best, _ in max(best, sample()) }
  }
}

/// A rate of work beside what the core allows at the same moment, its peak or a lower bound: on a machine that others use, only their ratio says much.
package struct MeasuredRate: Equatable, Sendable {
  /// FLOP/s, the median.
  package let rate: Double
  /// Of the bound, the median of pairs of neighbours in time.
  package let share: Double

  package init(rate: Double, share: Double) {
    self.rate = rate
    self.share = share
  }

  /// Measures a body that does so many FLOPs, for so many seconds.
  ///
  /// - Parameter bound: measures what the core allows at the moment, in FLOP/s.
  package init(
    flops: Double, seconds: Double, bound: () -> Double = PeakRate.sample, _ body: () throws -> Void
  ) rethrows {
    try body()
    let begin = PhaseClock.now()
    try body()
    // Rounds long enough for the clock, short enough that the bound is that of the same moment.
    let calls = max(1, Int(4e-4 / max(PhaseClock.now() - begin, 1e-9)))
    var rates: [Double] = []
    var shares: [Double] = []
    let start = PhaseClock.now()
    var before = bound()
    repeat {
      let begin = PhaseClock.now()
      for _ in 0..<calls { try body() }
      let rate = flops * Double(calls) / (PhaseClock.now() - begin)
      let after = bound()
      rates.append(rate)
      shares.append(2 * rate / (before + after))
      before = after
    } while rates.count < 9 || (PhaseClock.now() - start < seconds && rates.count < 10_000)
    self.init(rate: Quantiles(rates).median, share: Quantiles(shares).median)
  }
}
