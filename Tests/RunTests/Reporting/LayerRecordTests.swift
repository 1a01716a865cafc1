import Files
import Foundation
import Records
import Reporting
import Testing
import Training

/// Figures of several layers' gates, from sums to checkpoint, record and page.
struct LayerRecordTests {
  private static let labels: [UInt8] = [0, 0, 1, 1]

  /// Four samples of two classes. In the first layer expert 0 takes all with certainty; in the second each class has an
  /// expert of its own; in the third p is (¾, ¼) or (¼, ¾), the classes mixed.
  private func sums(layers: Int) -> MetricsAccumulator {
    var sums = MetricsAccumulator(experts: 2, classes: 2, layers: layers)
    // Feature-major, without padding.
    let p: [[Float]] = [
      [1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 1, 1], [0.75, 0.25, 0.75, 0.25, 0.25, 0.75, 0.25, 0.75],
    ]
    let third = Float(-(0.75 * log(0.75) + 0.25 * log(0.25)))
    let chosen: [[Int32]] = [[0, 0, 0, 0], [0, 0, 1, 1], [0, 1, 0, 1]]
    let entropies: [[Float]] = [[0, 0, 0, 0], [0, 0, 0, 0], [third, third, third, third]]
    let classes: [Int32] = [0, 0, 1, 1]
    sums.add(
      rows: 4, probabilities: p[0], stride: 4, entropies: entropies[0], labels: Self.labels,
      losses: [1, 1, 1, 1], predictions: classes, chosenExperts: chosen[0], chosenClasses: classes,
      labelRanks: [0, 0, 0, 0])
    for layer in 1..<max(layers, 1) {
      sums.add(
        layer: layer, rows: 4, probabilities: p[layer], stride: 4, entropies: entropies[layer],
        labels: Self.labels, chosenExperts: chosen[layer], chosenClasses: classes)
    }
    return sums
  }

  @Test func everyLayerHasFiguresByTheFormula() {
    let gates = sums(layers: 3).metrics().gates
    #expect(gates.count == 3)
    // I(E;Y): nothing, everything, nothing of 1 bit.
    #expect(gates.map(\.mutualInformationTrue) == [0, 1, 0])
    #expect(gates.map(\.mutualInformation) == [0, 1, 0])
    #expect(gates.map(\.usageEntropy) == [0, 1, 1])
    // 2 − ¾·log2 3 = H(¾, ¼).
    let third = 2 - 0.75 * log2(3.0)
    #expect(gates[0].sampleEntropy == 0 && gates[1].sampleEntropy == 0)
    #expect(abs((gates[2].sampleEntropy ?? 0) - third) < 1e-7)
    #expect(gates.map(\.taskEntropy) == [0, 0, 1])
    #expect(gates.map(\.expertShare) == [[1, 0], [0.5, 0.5], [0.5, 0.5]])
    #expect(gates.map(\.deadExperts) == [1, 0, 0])
    #expect(gates.map(\.hardTable) == [[[2, 2], [0, 0]], [[2, 0], [0, 2]], [[1, 1], [1, 1]]])
    #expect(gates.map(\.softTable) == [[[2, 2], [0, 0]], [[2, 0], [0, 2]], [[1, 1], [1, 1]]])
  }

  /// One layer leaves the text as it was; further ones follow under a key of their own.
  @Test func sumsSurviveACheckpoint() throws {
    let one = try sums(layers: 1).text()
    #expect(!one.contains("layers"))
    let two = sums(layers: 2)
    let text = try two.text()
    let added =
      "\"layers\":[{\"entropySum\":0,\"hardTable\":[2,0,0,2],\"ownTable\":[2,0,0,2],\"softTable\":[2,0,0,2]}],"
    #expect(text.replacingOccurrences(of: added, with: "") == one)
    #expect(try MetricsAccumulator(text: text, file: "f") == two)
    #expect(two.completed(like: MetricsAccumulator(experts: 2, classes: 2, layers: 2)) == two)
    #expect(two.completed(like: MetricsAccumulator(experts: 2, classes: 2, layers: 3)) == nil)
    for (right, wrong) in [
      ("[2,0,0,2]", "[2,0,0]"), ("[2,0,0,2]", "[9,0,0,-7]"), ("\"ownTable\"", "\"own\""),
    ] {
      let end = text.range(of: "\"layers\"")!.lowerBound
      let damaged =
        text[..<end] + text[end...].replacingOccurrences(of: right, with: wrong)
      #expect(throws: Failure.self) { try MetricsAccumulator(text: String(damaged), file: "f") }
    }
  }

  /// A checkpoint of version 0.1.0 has the first layer alone; the others count what follows.
  @Test func sumsOfTheFirstVersionGoOn() throws {
    let empty = MetricsAccumulator(experts: 2, classes: 2, layers: 2)
    let old = try MetricsAccumulator(text: sums(layers: 1).text(), file: "f")
    var completed = try #require(old.completed(like: empty))
    #expect(completed.layers == 2 && completed.metrics().gates.count == 1)
    completed.add(
      layer: 1, rows: 1, probabilities: [0, 1], stride: 1, entropies: [0], labels: [1], chosenExperts: [1],
      chosenClasses: [1])
    #expect(completed.metrics().gates[1].expertShare == [0, 1])
    #expect(completed.metrics().gates[0] == old.metrics().gates[0])
  }

  @Test func linesHaveLayersWhereThereAreSeveral() {
    func line(_ layers: Int) -> JSONValue {
      MetricsRecord(epoch: 1, step: 2, split: "test", metrics: sums(layers: layers).metrics()).json
    }
    #expect(line(1)["layers"] == nil)
    let two = line(2)
    guard case .array(let layers)? = two["layers"], case .object(let members) = two else {
      Issue.record("no list of layers")
      return
    }
    #expect(members.last?.key == "layers")
    #expect(layers.map { $0["layer"]?.integerValue } == [1, 2])
    #expect(layers.map { $0["mutual_information"]?.numberValue } == [0, 1])
    #expect(layers.map { $0["dead_experts"]?.integerValue } == [1, 0])
    #expect(layers[0]["usage_entropy"] == two["usage_entropy"])
    #expect(sums(layers: 2).metrics().json["layers"] == two["layers"])
    #expect(sums(layers: 1).metrics().json["layers"] == nil)
  }

  @Test func tablesHaveALayerColumnWhereThereAreSeveral() {
    #expect(
      Metrics.expertClassText(sums(layers: 2).metrics().gates.compactMap(\.hardTable))
        == "layer,expert,class_0,class_1\n1,0,2,2\n1,1,0,0\n2,0,2,0\n2,1,0,2\n")
  }

  @Test func theSummaryHasALinePerLayer() {
    func lines(_ layers: Int) -> [[Substring]] {
      RunSummary(
        status: RunStatus(state: .finished, epoch: 1, step: 1, stepsExecuted: 1),
        metrics: [.init(split: "test", metrics: sums(layers: layers).metrics())], timing: nil, account: nil,
        runDirectory: nil
      ).text().split(separator: "\n").map { $0.split(separator: " ") }
    }
    let one = lines(1)
    #expect(one[1] == ["test", "0.0000", "1.0000", "0.000", "0.000", "0.000", "1"])
    let two = lines(2)
    #expect(two[0].contains("layer") && !one[0].contains("layer"))
    #expect(two[1] == ["test", "0.0000", "1.0000", "1", "0.000", "0.000", "0.000", "1"])
    #expect(two[2] == ["2", "1.000", "0.000", "1.000", "0"])
  }

  /// The page shows a map per layer, and what each gate does.
  @Test func thePageHasAMapPerLayer() throws {
    let run = try FakeRun()
    try run.write("config.yaml", "dataset: synthetic\nmodel: mlp\nlayers: 2\nexperts: 2\ngate: softmax\n")
    let metrics = sums(layers: 2).metrics()
    try run.write("metrics.jsonl", MetricsRecord(epoch: 1, step: 2, split: "test", metrics: metrics).line)
    try run.write("expert_class.csv", Metrics.expertClassText(metrics.gates.compactMap(\.hardTable)))
    try run.write("expert_class_soft.csv", Metrics.expertClassText(metrics.gates.compactMap(\.softTable)))
    let text = try ParsedXML(try run.page()).text
    for words in [
      "Which expert takes which classes, layer 1", "Which expert takes which classes, layer 2",
      "Layer 1: Expert 1 is never chosen.", "Layer 2: Every expert is used",
      "Layer 2: 2 of 2 classes go to one expert",
    ] { #expect(text.contains(words), "\(words)") }
    let names = try run.figures().keys
    for layer in 1...2 {
      for name in ["expert-class-hard", "expert-class-soft"] {
        #expect(names.contains("\(name)-layer-\(layer).svg"), "\(name) of layer \(layer)")
      }
    }
  }

  @Test func damagedTablesOfLayersAreRefused() throws {
    let run = try FakeRun()
    try run.write("config.yaml", "dataset: synthetic\n")
    for text in [
      "layer,expert,class_0\n2,0,1\n", "layer,expert,class_0\n1,0,1\n3,0,1\n",
      "layer,expert,class_0\n1,0,1\n1,1,1\n2,0,1\n", "layer,expert,class_0\n1,0\n",
    ] {
      try run.write("expert_class.csv", text)
      #expect(throws: Failure.self, "\(text)") { try run.page() }
    }
  }
}
