import Files
import Foundation
import MoE
import Records
import Testing
import Training

/// Losses of the gate's choice by name, from the batch to sums, checkpoint and record.
struct LossRecordTests {
  private func losses(_ values: KeyValuePairs<String, Double>) -> [NamedValue] {
    values.map { NamedValue(name: $0.key, reported: $0.value, weighted: $0.value / 2) }
  }

  /// Means over rows by name; what they add to the loss is weighted.
  @Test func lossesAreSummedByName() {
    var sums = MetricsAccumulator(experts: 0, classes: 2)
    sums.add(
      rows: 4, probabilities: nil, stride: 0, entropies: nil, labels: [1, 1, 1, 1], losses: [1, 1, 1, 1],
      predictions: [1, 1, 1, 1], chosenExperts: nil, chosenClasses: nil, labelRanks: [0, 0, 0, 0])
    #expect(sums.metrics().routingLosses.isEmpty)
    sums.add(losses(["importance_loss": 2, "z_loss": 8]), rows: 3)
    sums.add(losses(["importance_loss": 6, "z_loss": 0]), rows: 1)
    let metrics = sums.metrics()
    #expect(metrics.routingLosses == [NamedFigure("importance_loss", 3), NamedFigure("z_loss", 6)])
    #expect(metrics.loss == 1 + 4.5)
  }

  /// The keys of the first version stay its own; later losses are listed, in their order.
  @Test func lossesSurviveJSON() throws {
    var sums = MetricsAccumulator(experts: 0, classes: 2)
    sums.add(losses(["similarity_loss": 1, "z_loss": 0.25, "load_balance_loss": 1.25]), rows: 3)
    let text = try sums.text()
    #expect(
      text == """
        {"classes":2,"crossEntropySum":0,"entropySum":0,"experts":0,"hardTable":[],"lossSum":3.75,"outsideTopFive":0,\
        "ownTable":[],"routingSums":[{"name":"z_loss","value":0.75},{"name":"load_balance_loss","value":3.75}],"rows":0,\
        "similaritySum":3,"softTable":[],"wrong":0}
        """)
    #expect(try MetricsAccumulator(text: text, file: "f") == sums)
  }

  /// What version 0.1.0 wrote into a checkpoint, to the byte.
  @Test func sumsOfTheFirstVersionAreReadAndWrittenAlike() throws {
    let text = """
      {"classes":2,"crossEntropySum":3,"entropySum":0.5,"experts":2,"hardTable":[1,0,0,1],"importanceSum":0.25,\
      "lossSum":4.5,"outsideTopFive":0,"ownTable":[0,1,1,0],"rows":2,"similaritySum":-1.5,"softTable":[0.5,0.5,0.5,0.5],\
      "wrong":1}
      """
    var sums = try MetricsAccumulator(text: text, file: "f")
    #expect(try sums.text() == text)
    let expected = [NamedFigure("importance_loss", 0.125), NamedFigure("similarity_loss", -0.75)]
    #expect(sums.metrics().routingLosses == expected)
    sums.add(losses(["importance_loss": 1, "similarity_loss": 1]), rows: 0)
    #expect(sums.metrics().routingLosses == expected)
    let plain = text.replacingOccurrences(of: "\"importanceSum\":0.25,", with: "")
      .replacingOccurrences(of: "\"similaritySum\":-1.5,", with: "")
    #expect(try MetricsAccumulator(text: plain, file: "f").text() == plain)
    #expect(try MetricsAccumulator(text: plain, file: "f").metrics().routingLosses.isEmpty)
  }

  /// Two keys are on every line, null where there is no such loss; others on the lines of runs that have them.
  @Test func linesHaveLossesByName() {
    var line = MetricsRecord(epoch: 1, step: 2, split: "train")
    #expect(line.json["importance_loss"] == .null && line.json["similarity_loss"] == .null)
    #expect(line.json["z_loss"] == nil)
    line.lossNames = ["importance_loss", "z_loss", "load_balance_loss"]
    line.routingLosses = [NamedFigure("z_loss", 1.5)]
    #expect(line.json["z_loss"] == .number(1.5) && line.json["load_balance_loss"] == .null)
    guard case .object(let members) = line.json else { return }
    #expect(
      members.map(\.key)[3..<9] == [
        "loss", "cross_entropy", "importance_loss", "similarity_loss", "z_loss", "load_balance_loss",
      ])
    #expect(members[9].key == "error" && Set(members.map(\.key)).count == members.count)
  }

  /// The page has a column for every loss that a line has, read back by its key, and names its weight.
  @Test func thePageHasLossesByName() throws {
    let run = try FakeRun()
    try run.write(
      "config.yaml", "dataset: mnist\ngate: softmax\ncombine: top-k\ncapacity: 1.25\nload-balance: 0.01\n")
    var line = MetricsRecord(epoch: 1, step: 4, split: "train")
    line.error = 0.25
    line.routingLosses = [NamedFigure("load_balance_loss", 1.0625), NamedFigure("z_loss", 2.5)]
    try run.write("metrics.jsonl", line.line)
    let text = try ParsedXML(try run.page()).text
    #expect(text.contains("capacity 1.25 + load-balance 0.01"))
    for word in ["load balance", "1.0625", "2.5000"] { #expect(text.contains(word), "\(word)") }
    #expect(!text.contains("similarity"))
  }
}
