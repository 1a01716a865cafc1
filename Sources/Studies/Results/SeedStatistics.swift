/// Mean and standard deviation over seeds.
package struct Spread: Equatable, Sendable {
  package let mean: Double
  /// With n − 1; nil for fewer than two values, or where a publication gives none.
  package let deviation: Double?

  package init(mean: Double, deviation: Double?) {
    self.mean = mean
    self.deviation = deviation
  }

  /// - Returns: nil for no values.
  package init?(_ values: [Double]) {
    guard !values.isEmpty else { return nil }
    let mean = values.reduce(0, +) / Double(values.count)
    self.init(mean: mean, deviation: values.count < 2 ? nil : variance(values, mean: mean).squareRoot())
  }
}

/// The unbiased variance about the mean.
private func variance(_ values: [Double], mean: Double) -> Double {
  values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count - 1)
}

/// A two-sided t test of the difference of two means.
package struct MeanComparison: Equatable, Sendable {
  package enum Test: String, Sendable {
    /// The differences of runs that share a seed.
    case paired
    /// Unequal variances, no pairs (B. L. Welch, Biometrika 34, 1947).
    case welch = "Welch"
  }

  package let test: Test
  /// Mean of a minus mean of b.
  package let difference: Double
  /// The ends of the difference's 95 % interval.
  package let low: Double
  package let high: Double
  package let p: Double
  package let degreesOfFreedom: Double

  /// Compares values of runs that are pairs, in the same order.
  ///
  /// - Returns: nil for fewer than two pairs.
  package static func paired(_ a: [Double], _ b: [Double]) -> MeanComparison? {
    precondition(a.count == b.count, "pairs have two members")
    guard a.count >= 2 else { return nil }
    let differences = zip(a, b).map { $0 - $1 }
    let mean = differences.reduce(0, +) / Double(differences.count)
    let error = (variance(differences, mean: mean) / Double(differences.count)).squareRoot()
    return MeanComparison(.paired, mean, error, Double(differences.count - 1))
  }

  /// Compares values of runs that are no pairs; ν after Welch and Satterthwaite.
  ///
  /// - Returns: nil for fewer than two values on a side.
  package static func welch(_ a: [Double], _ b: [Double]) -> MeanComparison? {
    guard a.count >= 2, b.count >= 2 else { return nil }
    let meanA = a.reduce(0, +) / Double(a.count)
    let meanB = b.reduce(0, +) / Double(b.count)
    let partA = variance(a, mean: meanA) / Double(a.count)
    let partB = variance(b, mean: meanB) / Double(b.count)
    let sum = partA + partB
    let parts = partA * partA / Double(a.count - 1) + partB * partB / Double(b.count - 1)
    let degrees = parts > 0 ? sum * sum / parts : Double(a.count + b.count - 2)
    return MeanComparison(.welch, meanA - meanB, sum.squareRoot(), degrees)
  }

  private init(_ test: Test, _ difference: Double, _ standardError: Double, _ degrees: Double) {
    self.test = test
    self.difference = difference
    degreesOfFreedom = degrees
    // Values that do not vary leave no doubt about their difference.
    guard standardError > 0 else {
      low = difference
      high = difference
      p = difference == 0 ? 1 : 0
      return
    }
    let half = StudentT.twoSidedQuantile(0.05, degreesOfFreedom: degrees) * standardError
    low = difference - half
    high = difference + half
    p = StudentT.twoSidedP(difference / standardError, degreesOfFreedom: degrees)
  }
}
