/// How a setting is chosen from a grid: by the mean validation error over seeds, ties to the smaller value.
package enum StudySelection {
  /// A setting of a grid and what its runs came to.
  package struct Candidate: Equatable, Sendable {
    package let settings: [StudySetting]
    /// The validation errors of the runs that finished.
    package let errors: [Double]
    /// How many runs there were.
    package let runs: Int

    package init(settings: [StudySetting], errors: [Double], runs: Int) {
      self.settings = settings
      self.errors = errors
      self.runs = runs
    }
  }

  /// The position of the chosen candidate. One with a run that diverged is chosen only if all have one; nil where no
  /// run finished.
  package static func choose(_ candidates: [Candidate]) -> Int? {
    let whole = candidates.indices.filter { candidates[$0].errors.count == candidates[$0].runs }
    let eligible = (whole.isEmpty ? Array(candidates.indices) : whole).filter {
      !candidates[$0].errors.isEmpty
    }
    return eligible.min { a, b in
      let meanA = mean(candidates[a].errors)
      let meanB = mean(candidates[b].errors)
      return meanA != meanB ? meanA < meanB : precedes(candidates[a].settings, candidates[b].settings)
    }
  }

  private static func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }

  /// Smaller first, setting by setting: as numbers where both are, otherwise as texts.
  private static func precedes(_ a: [StudySetting], _ b: [StudySetting]) -> Bool {
    for (left, right) in zip(a, b) where left.text != right.text {
      if let x = Double(left.text), let y = Double(right.text), x != y { return x < y }
      return left.text < right.text
    }
    return false
  }
}
