/// A claim of the paper as a comparison of two methods' means over seeds.
package struct StudyClaim: Equatable, Sendable {
  package let group: String
  /// The claim in words.
  package let text: String
  package let metric: StudyMetric
  /// The row that is claimed to have the smaller mean.
  package let smaller: String
  package let larger: String
  /// How much the "smaller" mean may exceed the other's; nil: it is to be smaller. With a margin the claim is that a
  /// method is not worse than another by more than this.
  package var margin: Double?

  package init(
    _ group: String, _ text: String, _ metric: StudyMetric, smaller: String, larger: String,
    margin: Double? = nil
  ) {
    self.group = group
    self.text = text
    self.metric = metric
    self.smaller = smaller
    self.larger = larger
    self.margin = margin
  }
}

/// What the runs say of a claim.
package struct StudyVerdict: Equatable, Sendable {
  package enum Word: String, Sendable {
    case holds
    /// The difference is not significant at 5 %, two-sided.
    case tie
    case doesNotHold = "does not hold"
    /// Fewer than two runs on a side.
    case notTested = "not tested"
  }

  package let claim: StudyClaim
  package let word: Word
  /// Smaller minus larger; nil where it was not tested.
  package let comparison: MeanComparison?
  /// Welch's test of the same difference, which does not use that runs of a seed are pairs; nil where it was not tested.
  package let welch: MeanComparison?

  /// Judges a claim by the figures of both rows, by seed: pairs where at least two seeds are shared, otherwise Welch's
  /// test. With a margin, the 95 % interval is held against the margin instead of 0.
  package init(
    _ claim: StudyClaim, smaller: [Int: StudyFigures], larger: [Int: StudyFigures]
  ) {
    self.claim = claim
    let a = Self.values(smaller, claim.metric)
    let b = Self.values(larger, claim.metric)
    welch = MeanComparison.welch(a.map(\.value), b.map(\.value))
    let shared = a.filter { pair in b.contains { $0.seed == pair.seed } }.map(\.seed)
    if shared.count >= 2 {
      comparison = MeanComparison.paired(
        a.filter { shared.contains($0.seed) }.map(\.value), b.filter { shared.contains($0.seed) }.map(\.value)
      )
    } else {
      comparison = welch
    }
    guard let comparison else {
      word = .notTested
      return
    }
    let bound = claim.margin ?? 0
    if comparison.high < bound {
      word = .holds
    } else if comparison.low > bound {
      word = .doesNotHold
    } else {
      word = .tie
    }
  }

  /// Ascending by seed.
  private static func values(
    _ figures: [Int: StudyFigures], _ metric: StudyMetric
  ) -> [(seed: Int, value: Double)] {
    figures.keys.sorted().compactMap { seed in figures[seed]?[metric].map { (seed, $0) } }
  }
}
