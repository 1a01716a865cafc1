import DataSets
import Dist
import Glibc
import KernelInterface
import MoE
import Networks
import Numerics
import Testing
import Training

/// Law 1 in one process for everything that sees the whole batch: 1, 2, 3 and 5 ranks, the gate on rank 0 or replicated, six
/// blocks of rows, give the same bits.
struct RoutingLawTests {
  static let rows = 83
  static let steps = 3
  static let experts = 4

  struct Case: Sendable, CustomTestStringConvertible {
    var gate = GateKind.softmax
    var k = 2
    var weights = TopKWeights.renormalised
    var capacity: Double?
    var noise = 0.0
    var zLoss = 0.0
    var loadBalance = 0.0
    var importance = 0.0
    var expertTemperature: Double?

    var testDescription: String {
      "\(gate), top-\(k) \(weights), capacity \(capacity ?? 0), noise \(noise), z-loss \(zLoss), balance \(loadBalance), "
        + "importance \(importance), expert T \(expertTemperature ?? 1)"
    }

    func configuration(_ place: GatePlacement) -> Configuration {
      var configuration = Configuration()
      configuration.model = "mnist"
      configuration.experts = experts
      configuration.gate = gate
      configuration.combine = .topK
      configuration.topK = k
      configuration.topKWeights = weights
      configuration.capacity = capacity
      configuration.noise = noise
      configuration.zLoss = zLoss
      configuration.loadBalance = loadBalance
      configuration.importance = importance
      configuration.expertTemperature = expertTemperature
      configuration.gatePlacement = place
      configuration.batchSize = rows
      configuration.blockRows = 16
      configuration.seed = 5
      return configuration
    }
  }

  static let cases: [Case] = [
    Case(noise: 2),
    Case(zLoss: 0.1),
    Case(loadBalance: 0.3),
    Case(k: 1, weights: .full, capacity: 0.5),
    Case(capacity: 0.2),
    Case(weights: .full, capacity: 0.4, noise: 1),
    Case(gate: .attentive, capacity: 0.3, zLoss: 0.1, loadBalance: 0.2),
    Case(gate: .attentive, noise: 1, zLoss: 0.1, importance: 0.2, expertTemperature: 2),
    Case(capacity: 0.5, noise: 1, zLoss: 0.1, loadBalance: 0.2, importance: 0.3, expertTemperature: 2),
  ]

  /// What the ranks have after some steps; what follows is complete on rank 0 alone.
  struct Findings: Equatable, Sendable {
    var tensors: [String: [UInt32]] = [:]
    var losses: [[NamedValue]] = []
    /// Of every step, by row.
    var rowLosses: [[Float]] = []
    var scores: [[Float]] = []
    var evaluated: [Float] = []
    /// Rows whose mixture takes each expert, of this rank's shards, in training.
    var selected: [Int] = []
  }

  private static func run(_ configuration: Configuration, ranks: Int, start: [String: [UInt32]]? = nil) throws
    -> Findings
  {
    let all: [Findings] = try onRanks(ranks) { communicator in
      let batch = ReferenceBatch(rows: rows, frame: 0, seed: 41)
      let images = ImageSet(
        shape: ImageShape(channels: 1, height: 28, width: 28), images: batch.bytes, labels: batch.labels)
      let data = DataSet(
        name: "noise", classes: 10, classNames: (0..<10).map(String.init), train: images, test: images,
        mean: [0.3], standardDeviation: [0.35], fingerprints: [:], location: "", notes: [])
      let session = try ModelSession(
        configuration, data: data, communicator: communicator, training: true,
        clock: PhaseClock(communicator) { _, _ in })
      session.parts.initialise(seed: 3)
      var findings = Findings()
      let order = (0..<Int32(rows)).map { $0 * 19 % Int32(rows) }
      func values(_ map: FeatureMap?) -> [Float] {
        guard let map else { return [] }
        return (0..<map.features).flatMap { f in (0..<map.rows).map { map[f][$0] } }
      }
      func line(_ report: FeatureMap?) -> [Float] {
        report.map { report in (0..<rows).map { report[RowReport.loss.rawValue][$0] } } ?? []
      }
      for number in 1...steps {
        let adam = UpdatePoint(step: number, learningRate: 1e-2, weightDecay: 0)
        let outcome = try session.trainingStep!.run(
          order[...], of: ImageView(images), epoch: number, mode: .training(adam), word: 0)
        findings.losses.append(outcome.losses)
        findings.rowLosses.append(line(outcome.report))
        findings.scores.append(values(outcome.scores.first))
      }
      findings.selected = session.parts.bank.rowsSelected
      try session.parts.gatherState()
      for parameters in session.parts.parameters {
        for place in parameters.places
        where communicator.rank == 0 || place.spec.name.hasPrefix("experts.") {
          let base = parameters.values + place.offset
          findings.tensors[place.spec.name] = (0..<place.spec.count).map { base[$0].bitPattern }
        }
      }
      if let start {
        for parameters in session.parts.parameters {
          for place in parameters.places {
            for (i, bits) in (start[place.spec.name] ?? []).enumerated() {
              parameters.values[place.offset + i] = Float(bitPattern: bits)
            }
          }
        }
      }
      let outcome = try session.evaluationStep.run(
        order[...], of: ImageView(images), epoch: 7, mode: .evaluation, word: 0)
      findings.evaluated = line(outcome.report)
      return findings
    }
    var merged = all[0]
    for other in all.dropFirst() {
      merged.tensors.merge(other.tensors) { own, _ in own }
      merged.selected = zip(merged.selected, other.selected).map { $0 + $1 }
    }
    return merged
  }

  @Test(arguments: cases)
  func ranksAndPlaceChangeNoBit(_ test: Case) throws {
    let one = try Self.run(test.configuration(.root), ranks: 1)
    let names = [
      test.importance > 0 ? "importance_loss" : nil, test.zLoss > 0 ? "z_loss" : nil,
      test.loadBalance > 0 ? "load_balance_loss" : nil,
    ].compactMap { $0 }
    #expect(one.losses.allSatisfy { $0.map(\.name) == names })
    for ranks in [1, 2, 3, 5] {
      for place in GatePlacement.allCases {
        let found = try Self.run(test.configuration(place), ranks: ranks)
        #expect(found == one, "\(ranks) ranks, \(place)")
      }
    }
    // Every part has its effect.
    var plain = Case(gate: test.gate, k: test.k, weights: test.weights)
    plain.expertTemperature = test.expertTemperature
    let without = try Self.run(plain.configuration(.root), ranks: 1)
    #expect(without.tensors != one.tensors)
    let pairs = Self.steps * Self.rows * test.k
    #expect(without.selected.reduce(0, +) == pairs)
    #expect(one.selected.reduce(0, +) < pairs || test.capacity == nil)
    guard let capacity = test.capacity else { return }
    // The limit is of the whole batch, and some row is left with no expert: it loses ln C.
    let limit = Int((capacity * Double(Self.rows * test.k) / Double(Self.experts)).rounded(.up))
    #expect(one.selected.allSatisfy { $0 <= Self.steps * limit })
    let uniform = Float(log(10.0))
    #expect(one.rowLosses.contains { $0.contains { abs($0 - uniform) < 1e-6 } })
  }

  /// Law 10: evaluation knows neither capacity nor noise.
  @Test(arguments: [GateKind.softmax, .attentive])
  func evaluationDropsNoRow(gate: GateKind) throws {
    let test = Case(gate: gate, capacity: 0.2, noise: 2)
    let trained = try Self.run(test.configuration(.root), ranks: 1)
    let plain = Case(gate: gate)
    for ranks in [1, 3] {
      let found = try Self.run(plain.configuration(.replicated), ranks: ranks, start: trained.tensors)
      #expect(found.evaluated == trained.evaluated)
      #expect(found.evaluated.count == Self.rows)
    }
  }

  /// The scores that are reported are those in use.
  @Test func theScoresHaveTheirNoise() throws {
    let found = try Self.run(Case(noise: 2).configuration(.root), ranks: 1)
    let plain = try Self.run(Case().configuration(.root), ranks: 1)
    // The first step's weights are the same, so what differs is noise; 83 · 4 numbers of deviation ½.
    let noise = zip(found.scores[0], plain.scores[0]).map { Double($0 - $1) }
    let mean = noise.reduce(0, +) / Double(noise.count)
    let deviation = (noise.reduce(0) { $0 + $1 * $1 } / Double(noise.count)).squareRoot()
    #expect(abs(mean) < 0.12 && abs(deviation - 0.5) < 0.08)
  }
}
