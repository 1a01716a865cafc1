package import Files

/// The time of a part of the step, T = calls · perCall + units · perUnit.
package struct LinearCost: Equatable, Sendable {
  /// Seconds per call.
  package var perCall = 0.0
  /// Seconds per unit of work.
  package var perUnit = 0.0

  package init(perCall: Double = 0, perUnit: Double = 0) {
    self.perCall = perCall
    self.perUnit = perUnit
  }

  /// One measurement.
  package struct Sample: Equatable, Sendable {
    package let calls: Double
    package let units: Double
    package let seconds: Double

    package init(calls: Double, units: Double, seconds: Double) {
      self.calls = calls
      self.units = units
      self.seconds = seconds
    }
  }

  /// The cost of which both measurements are exact; where that would be negative, the part that is not, through the
  /// larger one.
  package init(small: Sample, large: Sample) {
    let determinant = small.calls * large.units - large.calls * small.units
    let call =
      determinant == 0 ? 0 : (small.seconds * large.units - large.seconds * small.units) / determinant
    let unit =
      determinant == 0 ? 0 : (small.calls * large.seconds - large.calls * small.seconds) / determinant
    if determinant == 0 || call < 0 {
      self.init(perUnit: large.units > 0 ? large.seconds / large.units : 0)
    } else if unit < 0 {
      self.init(perCall: large.calls > 0 ? large.seconds / large.calls : 0)
    } else {
      self.init(perCall: call, perUnit: unit)
    }
  }

  package func seconds(calls: Double = 1, units: Double) -> Double { calls * perCall + units * perUnit }

  package func scaled(by factor: Double) -> LinearCost {
    LinearCost(perCall: perCall * factor, perUnit: perUnit * factor)
  }

  package var json: JSONValue { ["per_call": .number(perCall), "per_unit": .number(perUnit)] }

  /// Nil where the value is not what ``json`` writes.
  package init?(_ json: JSONValue?) {
    guard let call = json?["per_call"]?.numberValue, let unit = json?["per_unit"]?.numberValue, call >= 0,
      unit >= 0
    else { return nil }
    self.init(perCall: call, perUnit: unit)
  }
}
