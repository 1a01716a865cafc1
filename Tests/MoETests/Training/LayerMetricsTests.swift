import DataSets
import Dist
import Foundation
import KernelInterface
import MoE
import Networks
import Numerics
import Records
import Testing
import Training

/// What a model of several mixture layers says of the gate of each, against the formula of the deeper network, and for
/// every number of ranks and place of the gate.
struct LayerMetricsTests {
  static let test = DeepModelTests.Case(name: "top-1, full, three layers, T = 1.5") {
    $0.layers = 3
    $0.combine = .topK
    $0.topK = 1
    $0.temperature = 1.5
  }

  struct Findings: Sendable {
    var start: [String: [Float]] = [:]
    var text = ""
    var metrics: Metrics?
  }

  /// The sums of a training step and of an evaluation, as a checkpoint has them, of rank 0.
  static func run(ranks: Int, place: GatePlacement) throws -> Findings {
    let all: [Findings] = try onRanks(ranks) { communicator in
      var configuration = DeepModelTests.configuration(test)
      configuration.gatePlacement = place
      let data = DeepModelTests.data()
      let session = try ModelSession(
        configuration, data: data, communicator: communicator, training: true,
        clock: PhaseClock(communicator) { _, _ in })
      session.parts.initialise(seed: 3)
      var findings = Findings()
      for parameters in session.parts.parameters {
        for place in parameters.places {
          findings.start[place.spec.name] = (0..<place.spec.count).map {
            parameters.values[place.offset + $0]
          }
        }
      }
      let order = (0..<Int32(DeepModelTests.rows)).map { $0 }
      var sums = session.emptyAccumulator()
      let step = try #require(session.trainingStep)
      let outcome = try step.run(
        order[...], of: ImageView(data.train), epoch: 0,
        mode: .training(UpdatePoint(step: 1, learningRate: 0, weightDecay: 0)), word: 0)
      try session.add(outcome, order[...], of: data.train, to: &sums)
      findings.text = try sums.text()
      findings.metrics = try session.evaluate(data.train, samples: order)
      return findings
    }
    return all[0]
  }

  /// Counts are those of the formula's arg-max experts; sums of p and entropies agree within single precision.
  @Test func everyLayerHasTheFiguresOfItsGate() throws {
    let found = try Self.run(ranks: 1, place: .replicated)
    let data = DeepModelTests.data()
    let configuration = DeepModelTests.configuration(Self.test)
    let model = ReferenceDeepModel(
      try ModelOutline(configuration, size: DataSetSize(data)), configuration,
      tensors: found.start.mapValues { $0.map(Double.init) })
    let images = (0..<DeepModelTests.rows).map { row in
      (0..<30).map { (Double(data.train.images[row * 30 + $0]) / 255 - 0.5) / 0.25 }
    }
    let labels = data.train.labels.map(Int.init)
    let expected = model.run(images, labels, chosen: nil)
    let gates = try #require(found.metrics).gates
    #expect(gates.count == 3)
    for (layer, gate) in gates.enumerated() {
      var hard = [[Int]](repeating: Array(repeating: 0, count: 10), count: 3)
      var soft = [[Double]](repeating: Array(repeating: 0, count: 10), count: 3)
      var entropy = 0.0
      for (row, label) in labels.enumerated() {
        hard[expected.chosen[layer][row][0]][label] += 1
        for expert in 0..<3 {
          let p = expected.probabilities[layer][row][expert]
          soft[expert][label] += p
          entropy -= p * log2(p) / Double(labels.count)
        }
      }
      #expect(gate.hardTable == hard, "layer \(layer + 1)")
      for (row, values) in soft.enumerated() {
        for (column, value) in values.enumerated() {
          #expect(abs((gate.softTable?[row][column] ?? -1) - value) < 1e-5, "layer \(layer + 1)")
        }
      }
      #expect(abs((gate.sampleEntropy ?? -1) - entropy) < 1e-5, "layer \(layer + 1)")
      let shares = hard.map { Double($0.reduce(0, +)) / Double(labels.count) }
      #expect(gate.expertShare == shares)
      let usage = soft.map { $0.reduce(0, +) / Double(labels.count) }
      #expect(abs((gate.usageEntropy ?? -1) + usage.reduce(0) { $0 + $1 * log2($1) }) < 1e-5)
      // Σ n_ec/n · log2(n_ec·n/(n_e·n_c))
      var information = 0.0
      for expert in 0..<3 {
        for label in 0..<10 where hard[expert][label] > 0 {
          let n = Double(hard[expert][label])
          let ofClass = Double(labels.count { $0 == label })
          information += n / Double(labels.count) * log2(n / (shares[expert] * ofClass))
        }
      }
      #expect(abs((gate.mutualInformationTrue ?? -1) - information) < 1e-12, "layer \(layer + 1)")
    }
    // Gates of their own parameters differ, so the scores of one layer do not stand for another's.
    #expect(gates[0].softTable != gates[1].softTable && gates[1].softTable != gates[2].softTable)
    #expect(found.metrics?.softTable == gates[0].softTable)
  }

  @Test func ranksAndPlacesChangeNothing() throws {
    let one = try Self.run(ranks: 1, place: .replicated)
    for (ranks, place) in [
      (1, GatePlacement.root), (2, .root), (2, .replicated), (3, .root), (3, .replicated), (5, .replicated),
    ] {
      let other = try Self.run(ranks: ranks, place: place)
      #expect(other.text == one.text && other.metrics == one.metrics, "N = \(ranks), \(place)")
    }
  }
}
