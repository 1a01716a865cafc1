internal import Glibc

/// Student's t distribution, for tests and intervals over few seeds.
package enum StudentT {
  /// P(|T| ≥ |t|): the probability, under no difference, of a statistic at least as far from 0.
  ///
  /// Equals I_x(ν/2, 1/2) with x = ν/(ν + t²) (NIST Digital Library of Mathematical Functions, 8.17).
  /// - Parameter degreesOfFreedom: ν > 0, not necessarily whole.
  package static func twoSidedP(_ t: Double, degreesOfFreedom: Double) -> Double {
    precondition(degreesOfFreedom > 0, "a t distribution needs degrees of freedom")
    if t.isInfinite { return 0 }
    let square = t * t
    let sum = degreesOfFreedom + square
    return regularisedBeta(degreesOfFreedom / sum, complement: square / sum, degreesOfFreedom / 2, 0.5)
  }

  /// P(T ≤ t).
  package static func cumulative(_ t: Double, degreesOfFreedom: Double) -> Double {
    let tail = twoSidedP(t, degreesOfFreedom: degreesOfFreedom) / 2
    return t > 0 ? 1 - tail : tail
  }

  /// The t ≥ 0 with P(|T| ≥ t) = p, by bisection to the last bit but a few.
  ///
  /// - Parameter p: between 0 and 1, both excluded.
  package static func twoSidedQuantile(_ p: Double, degreesOfFreedom: Double) -> Double {
    precondition(p > 0 && p < 1, "a quantile needs a probability between 0 and 1")
    var low = 0.0
    var high = 1.0
    while twoSidedP(high, degreesOfFreedom: degreesOfFreedom) > p { high *= 2 }
    for _ in 0..<200 {
      let middle = low + (high - low) / 2
      if middle == low || middle == high { break }
      if twoSidedP(middle, degreesOfFreedom: degreesOfFreedom) > p { low = middle } else { high = middle }
    }
    return high
  }

  /// The regularised incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22) where that
  /// converges fast, and by I_x(a, b) = 1 − I_{1−x}(b, a) elsewhere.
  ///
  /// - Parameter complement: 1 − x, given apart because a difference would lose its digits.
  package static func regularisedBeta(_ x: Double, complement: Double, _ a: Double, _ b: Double) -> Double {
    precondition(a > 0 && b > 0 && x >= 0 && complement >= 0, "outside the domain of the beta function")
    if x == 0 { return 0 }
    if complement == 0 { return 1 }
    if x > (a + 1) / (a + b + 2) { return 1 - regularisedBeta(complement, complement: x, b, a) }
    let front =
      exp(a * log(x) + b * log(complement) + logGamma(a + b) - logGamma(a) - logGamma(b)) / a
    return front * continuedFraction(x, a, b)
  }

  /// 1/(1 + d₁/(1 + d₂/(1 + …))), evaluated forwards by Lentz's method.
  private static func continuedFraction(_ x: Double, _ a: Double, _ b: Double) -> Double {
    let tiny = 1e-300
    func guarded(_ value: Double) -> Double { abs(value) < tiny ? tiny : value }
    var numerator = 1.0
    var denominator = guarded(1 - (a + b) * x / (a + 1))
    denominator = 1 / denominator
    var value = denominator
    for step in 1..<10_000 {
      let m = Double(step)
      for term in [
        m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
        -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
      ] {
        denominator = 1 / guarded(1 + term * denominator)
        numerator = guarded(1 + term / numerator)
        value *= numerator * denominator
      }
      if abs(numerator * denominator - 1) < 1e-16 { break }
    }
    return value
  }

  private static func logGamma(_ x: Double) -> Double {
    var sign: Int32 = 0
    return lgamma_r(x, &sign)
  }
}
