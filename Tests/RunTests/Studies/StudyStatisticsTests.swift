import Foundation
import Studies
import Testing

private func isClose(_ a: Double, _ b: Double, _ tolerance: Double) -> Bool {
  abs(a - b) <= tolerance * max(1, abs(b))
}

struct StudyStatisticsTests {
  /// Two-sided quantiles as printed in tables of the distribution, with four decimals.
  @Test(arguments: [
    (1.0, 0.05, 12.7062), (2, 0.05, 4.3027), (4, 0.05, 2.7764), (9, 0.05, 2.2622), (30, 0.05, 2.0423),
    (1, 0.01, 63.6567), (5, 0.01, 4.0321), (10, 0.01, 3.1693), (120, 0.05, 1.9799), (3, 0.1, 2.3534),
  ])
  func quantilesAreThoseOfTables(_ degrees: Double, _ p: Double, _ expected: Double) {
    #expect(abs(StudentT.twoSidedQuantile(p, degreesOfFreedom: degrees) - expected) < 6e-5)
  }

  @Test(arguments: [-40.0, -2.5, -0.3, 0, 1e-6, 0.7, 1, 3, 12.7, 1e4])
  func cumulativeHasItsClosedFormsForOneAndTwoDegrees(_ t: Double) {
    let one = 0.5 + atan(t) / .pi
    #expect(isClose(StudentT.cumulative(t, degreesOfFreedom: 1), one, 1e-13))
    let two = 0.5 + t / (2 * (2 + t * t).squareRoot())
    #expect(isClose(StudentT.cumulative(t, degreesOfFreedom: 2), two, 1e-13))
  }

  @Test(arguments: [0.01, 0.2, 0.5, 0.77, 0.999])
  func betaHasItsClosedFormsAndItsSymmetry(_ x: Double) {
    #expect(isClose(StudentT.regularisedBeta(x, complement: 1 - x, 3.5, 1), pow(x, 3.5), 1e-13))
    #expect(isClose(StudentT.regularisedBeta(x, complement: 1 - x, 1, 4.2), 1 - pow(1 - x, 4.2), 1e-13))
    // The sum of the binomial's upper tail: P(X ≥ 2) of 5.
    let tail = (2...5).reduce(0.0) { sum, k in
      let choose = [1.0, 5, 10, 10, 5, 1][k]
      return sum + choose * pow(x, Double(k)) * pow(1 - x, Double(5 - k))
    }
    #expect(isClose(StudentT.regularisedBeta(x, complement: 1 - x, 2, 4), tail, 1e-13))
  }

  @Test func pairsByHand() throws {
    // Differences 1, 2, 3: mean 2, s² = 1, standard error 1/√3, t = 2√3, ν = 2.
    let found = try #require(MeanComparison.paired([2, 4, 6], [1, 2, 3]))
    #expect(found.test == .paired && found.degreesOfFreedom == 2 && found.difference == 2)
    #expect(isClose(found.p, 1 - 2 * 3.0.squareRoot() / 14.0.squareRoot(), 1e-12))
    #expect(abs(found.high - (2 + 4.302653 / 3.0.squareRoot())) < 1e-5)
    #expect(abs(found.low - (2 - 4.302653 / 3.0.squareRoot())) < 1e-5)
    #expect(MeanComparison.paired([1], [2]) == nil)
  }

  @Test func welchByHand() throws {
    // Means 2 and 0, variances 2 and 0 over 2: standard error 1, t = 2, ν = 1.
    let one = try #require(MeanComparison.welch([1, 3], [0, 0]))
    #expect(one.test == .welch && one.degreesOfFreedom == 1 && one.difference == 2)
    #expect(isClose(one.p, 1 - 2 / .pi * atan(2.0), 1e-12))
    // Variances 1 over 3 and 8 over 2: ν = (13/3)² / ((1/3)²/2 + 4²/1).
    let two = try #require(MeanComparison.welch([1, 2, 3], [2, 6]))
    #expect(isClose(two.degreesOfFreedom, 169.0 / 9 / (1.0 / 18 + 16), 1e-12))
    #expect(two.difference == -2 && two.low < -2 && two.high > 0)
    #expect(MeanComparison.welch([1], [2, 3]) == nil)
  }

  /// Values of scipy 1.17.1: `ttest_rel`, `ttest_ind(equal_var=False)` and their `confidence_interval()`.
  @Test func testsAgreeWithSciPy() throws {
    let a = [0.041, 0.038, 0.047, 0.044, 0.036]
    let b = [0.035, 0.037, 0.033, 0.039, 0.031]
    let welch = try #require(MeanComparison.welch(a, b))
    #expect(
      isClose(welch.p, 0.03743628740818723, 1e-10)
        && isClose(welch.degreesOfFreedom, 7.228912700526541, 1e-10))
    #expect(abs(welch.low - 0.0004737001105875405) < 1e-10 && abs(welch.high - 0.011926299889412455) < 1e-10)
    let paired = try #require(MeanComparison.paired(a, b))
    #expect(isClose(paired.p, 0.04368671976189229, 1e-10))
    #expect(
      abs(paired.low - 0.00028415185314205164) < 1e-10 && abs(paired.high - 0.012115848146857946) < 1e-10)
  }

  @Test func valuesThatDoNotVary() throws {
    let equal = try #require(MeanComparison.paired([1, 1], [1, 1]))
    #expect(equal.p == 1 && equal.low == 0 && equal.high == 0)
    let apart = try #require(MeanComparison.welch([1, 1], [2, 2]))
    #expect(apart.p == 0 && apart.high == -1)
  }

  @Test func spreadIsThatOfASample() throws {
    let spread = try #require(Spread([2, 4, 4, 4, 5, 5, 7, 9]))
    #expect(spread.mean == 5 && isClose(spread.deviation ?? 0, (32.0 / 7).squareRoot(), 1e-14))
    #expect(Spread([]) == nil && Spread([3])?.deviation == nil)
  }
}

struct StudyVerdictTests {
  private func rows(_ values: [Double], from first: Int = 0) -> [Int: StudyFigures] {
    Dictionary(uniqueKeysWithValues: values.enumerated().map { ($0.offset + first, [.error: $0.element]) })
  }

  private func claim(margin: Double? = nil) -> StudyClaim {
    StudyClaim("g", "a claim", .error, smaller: "a", larger: "b", margin: margin)
  }

  @Test func pairsDecideWhereSeedsAreShared() {
    let low = rows([1.0, 2, 3, 4])
    let high = rows([1.5, 2.4, 3.6, 4.5])
    let holds = StudyVerdict(claim(), smaller: low, larger: high)
    #expect(holds.word == .holds && holds.comparison?.test == .paired)
    #expect(StudyVerdict(claim(), smaller: high, larger: low).word == .doesNotHold)
    // The same values without pairs are far from significant.
    let apart = StudyVerdict(claim(), smaller: low, larger: rows([1.5, 2.4, 3.6, 4.5], from: 10))
    #expect(apart.word == .tie && apart.comparison?.test == .welch)
  }

  @Test func onlySharedSeedsArePairs() throws {
    let verdict = StudyVerdict(claim(), smaller: rows([9, 1, 2, 3]), larger: rows([1.5, 2.4, 3.6], from: 1))
    let found = try #require(verdict.comparison)
    #expect(found.degreesOfFreedom == 2 && isClose(found.difference, -0.5, 1e-12))
  }

  @Test func aMarginIsHeldAgainstTheInterval() {
    // Differences 0.001, 0.003: mean 0.002, half the interval 12.7062 · 0.001.
    let a = rows([0.101, 0.203])
    let b = rows([0.1, 0.2])
    #expect(StudyVerdict(claim(margin: 0.02), smaller: a, larger: b).word == .holds)
    #expect(StudyVerdict(claim(margin: 0.01), smaller: a, larger: b).word == .tie)
    #expect(StudyVerdict(claim(margin: 0.005), smaller: rows([0.1, 0.3]), larger: b).word == .tie)
    #expect(StudyVerdict(claim(margin: 0.005), smaller: rows([1.1, 1.2]), larger: b).word == .doesNotHold)
  }

  @Test func oneRunIsNoTest() {
    let verdict = StudyVerdict(claim(), smaller: rows([1]), larger: rows([2]))
    #expect(verdict.word == .notTested && verdict.comparison == nil)
  }
}

struct StudySelectionTests {
  private func candidate(_ text: String, _ errors: [Double], runs: Int = 2) -> StudySelection.Candidate {
    StudySelection.Candidate(settings: [StudySetting("importance", text)], errors: errors, runs: runs)
  }

  @Test func theSmallestMeanValidationErrorIsChosen() {
    #expect(
      StudySelection.choose([
        candidate("0.2", [0.1, 0.3]), candidate("0.4", [0.15, 0.15]), candidate("0.6", [0.0, 0.4]),
      ]) == 1)
  }

  @Test func tiesGoToTheSmallerValueAsANumber() {
    #expect(StudySelection.choose([candidate("10", [0.1, 0.3]), candidate("9", [0.3, 0.1])]) == 1)
    #expect(StudySelection.choose([candidate("1e-5", [0.25, 0.25]), candidate("1e-6", [0.0, 0.5])]) == 1)
    #expect(StudySelection.choose([candidate("0.2", [0.5, 0.5]), candidate("1", [0.5, 0.5])]) == 0)
  }

  @Test func settingsWithARunThatDivergedComeLast() {
    #expect(StudySelection.choose([candidate("1", [0.1]), candidate("2", [0.4, 0.4])]) == 1)
    #expect(StudySelection.choose([candidate("1", [0.3]), candidate("2", [0.2])]) == 1)
    #expect(StudySelection.choose([candidate("1", []), candidate("2", [0.2])]) == 1)
    #expect(StudySelection.choose([candidate("1", []), candidate("2", [])]) == nil)
  }
}
