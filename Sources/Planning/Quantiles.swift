package import Files
internal import Records

/// Median and spread of repeated measurements.
package struct Quantiles: Equatable, Sendable {
  package let median: Double
  /// A tenth of the measurements were below.
  package let p10: Double
  /// A tenth of the measurements were above.
  package let p90: Double

  /// - Parameter values: at least one.
  package init(_ values: [Double]) {
    precondition(!values.isEmpty, "a spread needs a measurement")
    let sorted = values.sorted()
    func quantile(_ share: Double) -> Double { sorted[Int((share * Double(sorted.count - 1)).rounded())] }
    median = quantile(0.5)
    p10 = quantile(0.1)
    p90 = quantile(0.9)
  }

  /// Every figure times a factor, for another unit.
  package func scaled(by factor: Double) -> [Double] { [median * factor, p10 * factor, p90 * factor] }

  /// `median (p10 … p90)`.
  package func text(scale: Double, digits: Int) -> String {
    "\(fixed(median * scale, digits)) (\(fixed(p10 * scale, digits)) … \(fixed(p90 * scale, digits)))"
  }

  package var json: JSONValue { ["median": .number(median), "p10": .number(p10), "p90": .number(p90)] }
}
