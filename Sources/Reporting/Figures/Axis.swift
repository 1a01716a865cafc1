internal import Glibc
internal import Records

/// Values at round distances, and how to write them.
package struct Ticks: Equatable {
  package let values: [Double]
  /// Digits after the point that tell the values apart.
  package let digits: Int

  /// Multiples of 1, 2 or 5 times a power of ten in [low, high].
  ///
  /// - Parameters:
  ///   - count: The most ticks there may be, at least 2.
  ///   - whole: Whether only integers make sense.
  package init(from low: Double, to high: Double, atMost count: Int, whole: Bool = false) {
    precondition(
      low.isFinite && high.isFinite && low < high && count >= 2, "an axis needs a length and ticks")
    let rough = high / Double(count) - low / Double(count)
    var exponent = Int(floor(log10(rough)))
    if whole { exponent = max(exponent, 0) }
    while true {
      for mantissa in [1.0, 2, 5] {
        let unit = { (multiple: Double) in Self.decimal(multiple * mantissa, exponent) }
        let step = unit(1)
        // A value that the step does not divide in binary may lie a rounding error inside.
        let first = ceil(low / step - 1e-9)
        let last = floor(high / step + 1e-9)
        guard last - first + 1 <= Double(count) else { continue }
        values = first > last ? [] : stride(from: first, through: last, by: 1).map { unit($0) + 0 }
        digits = max(0, -exponent)
        return
      }
      exponent += 1
    }
  }

  /// value · 10^exponent; division where the power would not be exact.
  private static func decimal(_ value: Double, _ exponent: Int) -> Double {
    exponent >= 0 ? value * pow(10, Double(exponent)) : value / pow(10, Double(-exponent))
  }

  /// A tick's label.
  package func text(_ value: Double) -> String {
    if value != 0, value.magnitude >= 1e6 || digits > 6 { return scientificText(value) }
    return fixed(value, digits)
  }
}

/// A number as mantissa and power of ten: `1.2e7`.
package func scientificText(_ value: Double) -> String {
  guard value.magnitude > 1e-30, value.isFinite else { return "0" }
  var exponent = Int(floor(log10(value.magnitude)))
  var mantissa = (value / pow(10, Double(exponent)) * 10).rounded() / 10
  if mantissa.magnitude >= 10 {
    mantissa /= 10
    exponent += 1
  }
  return coordinate(mantissa) + "e\(exponent)"
}

/// Values mapped to a length of the drawing.
package struct Axis {
  package let low: Double
  package let high: Double
  /// The coordinates of `low` and `high`.
  package let start: Double
  package let end: Double

  package init(low: Double, high: Double, start: Double, end: Double) {
    self.low = low
    self.high = high
    self.start = start
    self.end = end
  }

  package func position(_ value: Double) -> Double {
    // Halved, so that the distance of two huge values is finite.
    let share = (value / 2 - low / 2) / (high / 2 - low / 2)
    return start + min(max(share, 0), 1) * (end - start)
  }

  /// Ends for values to be drawn: 0 is an end unless all values lie far from it.
  ///
  /// - Parameter values: finite; none gives [0, 1].
  package static func range(of values: [Double]) -> (low: Double, high: Double) {
    guard var low = values.min(), var high = values.max() else { return (0, 1) }
    // Beyond this no difference is drawn any more, and sums could overflow.
    low = max(low, -1e300)
    high = min(high, 1e300)
    if low >= 0, low <= 0.6 * high { low = 0 }
    let magnitude = max(low.magnitude, high.magnitude)
    // Less than this is nothing, and its powers of ten could underflow.
    guard magnitude > 1e-30 else { return (0, 1) }
    guard high - low > 1e-9 * magnitude else {
      let margin = 0.1 * magnitude
      return (low == 0 ? 0 : low - margin, high + margin)
    }
    let margin = 0.05 * (high - low)
    return (low == 0 ? 0 : low - margin, high + margin)
  }
}
