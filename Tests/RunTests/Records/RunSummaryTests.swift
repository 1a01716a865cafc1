import Records
import Testing
import Training

struct RunSummaryTests {
  /// Lines of a summary of four samples, one of which has its label at the sixth place.
  private func lines(classes: Int, epochs: Int = 2, isOracle: Bool = false) -> [Substring] {
    var sums = MetricsAccumulator(experts: 0, classes: classes)
    sums.add(
      rows: 4, probabilities: nil, stride: 0, entropies: nil, labels: [0, 1, 2, 3], losses: [1, 1, 1, 1],
      predictions: [0, 1, 2, 0], chosenExperts: nil, chosenClasses: nil, labelRanks: [0, 0, 0, 5])
    let summary = RunSummary(
      status: RunStatus(state: .finished, epoch: epochs, step: epochs, stepsExecuted: epochs),
      metrics: [.init(split: "test", metrics: sums.metrics())], timing: nil, account: nil, runDirectory: nil,
      oracleNote: isOracle ? "oracle: by the labels" : nil)
    return summary.text().split(separator: "\n")
  }

  @Test func theTopFiveErrorHasAColumnWhereThereIsOne() {
    let with = lines(classes: 12)
    #expect(with[0].contains("top-5 error"))
    #expect(with[1].split(separator: " ").prefix(4) == ["test", "0.2500", "0.2500", "1.0000"])
    let without = lines(classes: 10)
    #expect(!without[0].contains("top-5"))
    #expect(without[1].split(separator: " ").prefix(3) == ["test", "0.2500", "1.0000"])
  }

  @Test func anOraclesFiguresAreNamedSo() {
    #expect(lines(classes: 10, isOracle: true)[2].hasPrefix("oracle: "))
    #expect(!lines(classes: 10).contains { $0.hasPrefix("oracle") })
  }

  @Test func oneIsNoPlural() {
    #expect(lines(classes: 10, epochs: 1).last == "finished after 1 epoch and 1 step")
    #expect(lines(classes: 10, epochs: 2).last == "finished after 2 epochs and 2 steps")
  }
}
