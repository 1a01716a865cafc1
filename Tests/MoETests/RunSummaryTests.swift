import Testing

@testable import MoE

struct RunSummaryTests {
  private func text(topFive: Double?, epochs: Int, isOracle: Bool) -> [Substring] {
    let metrics = Metrics(
      rows: 4, loss: 1.5, crossEntropy: 1.5, importanceLoss: nil, similarityLoss: nil, error: 0.5,
      topFiveError: topFive, mutualInformation: nil, mutualInformationTrue: nil, sampleEntropy: nil,
      usageEntropy: nil, taskEntropy: nil, expertShare: nil, deadExperts: nil, hardTable: nil, softTable: nil)
    let summary = RunSummary(
      status: RunStatus(state: .finished, epoch: epochs, step: epochs, stepsExecuted: epochs),
      metrics: [.init(split: "test", metrics: metrics)], timing: nil, account: nil, runDirectory: nil,
      isOracle: isOracle)
    return summary.text.split(separator: "\n")
  }

  @Test func theTopFiveErrorHasAColumnWhereThereIsOne() {
    let with = text(topFive: 0.25, epochs: 2, isOracle: false)
    #expect(with[0].contains("top-5 error") && with[1].contains("0.2500"))
    let without = text(topFive: nil, epochs: 2, isOracle: false)
    #expect(!without[0].contains("top-5"))
  }

  @Test func anOraclesFiguresAreNamedSo() {
    #expect(text(topFive: nil, epochs: 2, isOracle: true)[2].hasPrefix("oracle: "))
    #expect(!text(topFive: nil, epochs: 2, isOracle: false).contains { $0.hasPrefix("oracle") })
  }

  @Test func oneIsNoPlural() {
    #expect(text(topFive: nil, epochs: 1, isOracle: false).last == "finished after 1 epoch and 1 step")
    #expect(text(topFive: nil, epochs: 2, isOracle: false).last == "finished after 2 epochs and 2 steps")
  }
}
