/// log₂ x, the same bits on every machine; libm's choose variants by processor. Two units in the last place.
///
/// With x = m·2ᵉ, √½ ≤ m < √2, and s = (m − 1)/(m + 1): ln m = 2·artanh s = 2(s + s³/3 + s⁵/5 + …). −∞ of 0, NaN of negative
/// numbers and of NaN, ∞ of ∞; a subnormal number counts as the thread takes it.
package func logarithm2(_ x: Double) -> Double {
  guard x > 0, x.isFinite else { return x == 0 ? -.infinity : x > 0 ? x : .nan }
  var exponent = Double(x.exponent)
  var mantissa = x.significand
  if mantissa > 1.414_213_562_373_095_1 {
    mantissa /= 2
    exponent += 1
  }
  let s = (mantissa - 1) / (mantissa + 1)
  let square = s * s
  // s² < 0.0295, so that thirteen terms leave less than half a unit.
  var sum = 0.0
  for odd in stride(from: 25, through: 3, by: -2) { sum = (sum + 1 / Double(odd)) * square }
  return exponent + (2 * s + 2 * s * sum) * log2OfE
}

/// log₂ e; ln x = log₂ x / log₂ e.
package let log2OfE = 1.442_695_040_888_963_4
