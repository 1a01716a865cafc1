/// x with Φ(x) = p for 2⁻³³ ≤ p ≤ 1 − 2⁻³³, the same bits on every machine; relative error below 1e-6.
///
/// Wichura's algorithm AS 241, PPND7 (Applied Statistics 37, 1988): ratios of polynomials, of p − ½ in the middle and of √(−ln p)
/// in the tails. Its third range, of probabilities below e⁻²⁵, is left out.
package func normalQuantile(_ p: Double) -> Double {
  let q = p - 0.5
  if q.magnitude <= 0.425 {
    let r = 0.180625 - q * q
    let above = ((59.109374720 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179
    let below = ((67.187563600 * r + 78.757757664) * r + 17.895169469) * r + 1
    return q * (above / below)
  }
  let tail = q < 0 ? p : 1 - p
  let r = (-logarithm2(tail) / log2OfE).squareRoot() - 1.6
  let above = ((0.17023821103 * r + 1.3067284816) * r + 2.7568153900) * r + 1.4234372777
  let below = (0.12021132975 * r + 0.73700164250) * r + 1
  return q < 0 ? -(above / below) : above / below
}
