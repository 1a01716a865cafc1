import Files
import Records
import Testing
import Training

struct ExpertUseTests {
  @Test func aTwentiethOfAnEvenShareIsAlive() {
    // 5 of 200 are 2.5 %, 0.05/2.
    #expect(ExpertUse(shares: [0.025, 0.975]).dead.isEmpty)
    #expect(!ExpertUse.isDead(selected: 5, of: 200, experts: 2))
    #expect(ExpertUse(shares: [4.0 / 200, 196.0 / 200]).dead == [0])
    #expect(ExpertUse.isDead(selected: 4, of: 200, experts: 2))
  }

  /// A share as a quotient says what the counts say, also at the limit.
  @Test(arguments: [2, 3, 5, 7, 20, 100])
  func sharesAndCountsAgree(experts: Int) {
    for samples in [20 * experts, 60 * experts, 10_000, 54_321] {
      for selected in [
        0, samples / (20 * experts) - 1, samples / (20 * experts), samples / (20 * experts) + 1,
      ]
      where selected >= 0 {
        var shares = [Double](repeating: 0, count: experts)
        shares[0] = Double(selected) / Double(samples)
        let isDead = ExpertUse.isDead(selected: selected, of: samples, experts: experts)
        #expect(ExpertUse(shares: shares).dead.contains(0) == isDead)
      }
    }
  }

  @Test func aHundredBalancedExpertsAreAlive() {
    let use = ExpertUse(shares: [Double](repeating: 0.01, count: 100))
    #expect(use.dead.isEmpty && use.deadWords == nil)
    #expect(abs(use.maxOverMean - 1) < 1e-12 && use.variation < 1e-12)
  }

  @Test func loadsAreThoseOfTheirFormulas() {
    let use = ExpertUse(shares: [0.5, 0.25, 0.25, 0])
    #expect(use.loads == [2, 1, 1, 0])
    #expect(use.maxOverMean == 2 && use.most == 0 && use.least == 3)
    // √((1 + 0 + 0 + 1)/4), and 0.5·1 + 2·0.25·2 bits.
    #expect(abs(use.variation - 0.5.squareRoot()) < 1e-12)
    #expect(use.entropy == 1.5)
    #expect(
      use.deadWords?.hasPrefix("expert 3 of 4 is dead (chosen for less than 1.25 % of the samples") == true)
  }

  @Test func longListsAreCounted() {
    #expect(ExpertUse.list([4]) == "4")
    #expect(ExpertUse.list([0, 2, 4]) == "0, 2 and 4")
    #expect(ExpertUse.list(Array(0..<13)) == "13")
  }
}

struct CollapseNoticeTests {
  private func gates(_ shares: [Double]) -> [GateFigures] {
    var gate = GateFigures()
    gate.expertShare = shares
    return [gate]
  }
  private let collapsed = [0.7, 0.3, 0, 0, 0]

  @Test func itIsSaidOnce() throws {
    let configuration = try Configuration(dataset: "synthetic")
    var notice = CollapseNotice()
    #expect(notice.words(gates([0.2, 0.2, 0.2, 0.2, 0.2]), epoch: 1, configuration: configuration) == nil)
    let words = notice.words(gates(collapsed), epoch: 2, configuration: configuration)?.text(as: .options)
    let text = try #require(words)
    #expect(text.hasPrefix("after epoch 2, experts 2, 3 and 4 of 5 are dead"))
    for option in ["--importance 0.6", "--gate attentive", "--similarity"] { #expect(text.contains(option)) }
    #expect(!text.contains("--noise"))
    #expect(notice.words(gates(collapsed), epoch: 3, configuration: configuration) == nil)
  }

  @Test func whatIsInUseIsNotAdvised() throws {
    var configuration = try Configuration(dataset: "synthetic")
    configuration.importance = 0.2
    configuration.combine = .topK
    var notice = CollapseNotice()
    let words = notice.words(gates(collapsed), epoch: 1, configuration: configuration)
    let text = try #require(words).text(as: .options)
    #expect(!text.contains("--importance") && !text.contains("attentive"))
    #expect(text.contains("--noise 1") && text.contains("--load-balance 0.01"))
  }

  @Test func oraclesAndFrozenGatesAreNotToBeHelped() throws {
    var configuration = try Configuration(dataset: "synthetic")
    configuration.freeze = .gate
    var notice = CollapseNotice()
    #expect(notice.words(gates(collapsed), epoch: 1, configuration: configuration) == nil)
  }
}
