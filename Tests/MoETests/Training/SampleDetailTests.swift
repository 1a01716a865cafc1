import DataSets
import Dist
import Files
import Foundation
import MoE
import Networks
import Numerics
import Records
import TestSupport
import Testing
import Training

/// What a model tells of single images: against the mixture's formula, the rule's choice of experts and the counted FLOPs,
/// and the same for every number of ranks and place of the gate.
struct SampleDetailTests {
  struct Case: CustomTestStringConvertible, Sendable {
    let name: String
    /// Experts whose answers the mixture takes, of four.
    let mixed: Int
    /// Experts that run.
    let ran: Int
    let change: @Sendable (inout Configuration) -> Void

    init(_ name: String, mixed: Int, ran: Int, _ change: @escaping @Sendable (inout Configuration) -> Void) {
      self.name = name
      self.mixed = mixed
      self.ran = ran
      self.change = change
    }

    var testDescription: String { name }
  }

  static let cases = [
    Case("expectation", mixed: 4, ran: 4) { _ in },
    Case("top-2, full", mixed: 2, ran: 2) {
      $0.combine = .topK
      $0.topK = 2
      $0.topKWeights = .full
    },
    Case("top-2, renormalised", mixed: 2, ran: 2) {
      $0.combine = .topK
      $0.topK = 2
      $0.topKWeights = .renormalised
    },
    Case("top-1, full, capacity", mixed: 1, ran: 1) {
      $0.combine = .topK
      $0.topK = 1
      $0.topKWeights = .full
      $0.capacity = 0.3
    },
    Case("attentive", mixed: 4, ran: 4) { $0.gate = .attentive },
    // Keys need every expert, and one of them answers.
    Case("attentive, stochastic", mixed: 1, ran: 4) {
      $0.gate = .attentive
      $0.combine = .stochastic
    },
    Case("two layers, top-1", mixed: 1, ran: 1) {
      $0.model = "mlp"
      $0.layers = 2
      $0.combine = .topK
      $0.topK = 1
      $0.topKWeights = .full
    },
    Case("single model", mixed: 1, ran: 1) { $0.gate = .none },
  ]

  static let rows = 43

  struct Findings: Equatable, Sendable {
    var details: [SampleDetail] = []
    /// Of one image: what kernels counted on all ranks, and what the outline says.
    var counted = 0
    var costs: SampleCosts?
  }

  private static func run(_ test: Case, ranks: Int, place: GatePlacement) throws -> Findings {
    let all: [Findings] = try onRanks(ranks) { communicator in
      var configuration = Configuration()
      configuration.model = "mnist"
      configuration.experts = 4
      configuration.blockRows = 8
      configuration.batchSize = rows
      configuration.gatePlacement = place
      test.change(&configuration)
      var values = KernelTests.Values(state: 5)
      let shape = ImageShape(channels: 1, height: 28, width: 28)
      let bytes = (0..<rows * shape.pixels).map { _ in UInt8(128 + 120 * Double(values.next())) }
      let images = ImageSet(shape: shape, images: bytes, labels: (0..<rows).map { UInt8($0 * 7 % 10) })
      let data = DataSet(
        name: "noise", classes: 10, classNames: (0..<10).map(String.init), train: images, test: images,
        mean: [0.5], standardDeviation: [0.25], fingerprints: [:], location: "", notes: [])
      let clock = PhaseClock(communicator) { _, _ in }
      let session = try ModelSession(
        configuration, data: data, communicator: communicator, training: false, clock: clock)
      session.parts.initialise(seed: 3)
      var findings = Findings(costs: SampleCosts(session.parts.outline))
      _ = try session.evaluate(images, samples: [17], detail: { _ in })
      let reports = try RankReports(session.parts, clock: clock, over: communicator)
      findings.counted =
        reports.experts.reduce(0) { $0 + $1.work.forwardFlops } + reports.gate.forwardFlops
        + reports.trunk.forwardFlops
      // In an order that is not the set's.
      let order = (0..<Int32(rows)).map { $0 * 19 % Int32(rows) }
      _ = try session.evaluate(images, samples: order, detail: { findings.details += $0 })
      return findings
    }
    return try #require(all.first)
  }

  @Test(arguments: cases)
  func theMixtureIsMadeOfWhatIsTold(_ test: Case) throws {
    let found = try Self.run(test, ranks: 1, place: .root)
    #expect(found.details.count == Self.rows)
    let costs = try #require(found.costs)
    for detail in found.details {
      for layer in detail.layers {
        #expect(abs(layer.gate.reduce(0, +) - 1) < 1e-5)
        #expect(layer.ran.count == test.ran && layer.mixed.count == test.mixed)
        #expect(Set(layer.mixed).isSubset(of: layer.ran))
        let best = layer.gate.indices.sorted { (layer.gate[$0], -$0) > (layer.gate[$1], -$1) }
        #expect(layer.mixed == best.prefix(test.mixed).sorted())
      }
      let outcome = detail.outcome
      #expect(abs(detail.distribution.reduce(0, +) - 1) < 1e-5)
      // The same float, made once.
      #expect(outcome.probability == detail.distribution[outcome.prediction])
      #expect(detail.distribution.max() == outcome.probability)
      #expect(outcome.gateProbabilities == detail.layers[0].gate)
      #expect(
        costs.flops(detail) == costs.dense - detail.layers.count
          * (costs.experts / detail.layers.count - test.ran) * costs.expert)
      guard detail.layers.count == 1 else {
        #expect(detail.answers.isEmpty)
        continue
      }
      checkMixture(
        detail, isRenormalised: test.name.contains("renormalised") || test.name.contains("stochastic"))
    }
    // Of sample 17, counted where kernels run.
    let detail = try #require(found.details.first { $0.outcome.sample == 17 })
    #expect(costs.flops(detail) == found.counted)
  }

  /// m_c = Σ w_e y_ec over the experts that are mixed, with the rest of the mass, if any, at 1/C per class.
  private func checkMixture(_ detail: SampleDetail, isRenormalised: Bool) {
    let layer = detail.layers[0]
    for expert in layer.gate.indices {
      #expect((detail.answers[expert] == nil) == !layer.ran.contains(expert))
      if let answer = detail.answers[expert] { #expect(abs(answer.reduce(0, +) - 1) < 1e-5) }
    }
    let mass = layer.mixed.reduce(0.0) { $0 + Double(layer.gate[$1]) }
    let classes = Double(detail.distribution.count)
    for c in detail.distribution.indices {
      let sum = layer.mixed.reduce(0.0) { sum, expert in
        sum + Double(layer.gate[expert]) * Double(detail.answers[expert]?[c] ?? .nan)
      }
      let expected = isRenormalised ? sum / mass : sum + max(1 - mass, 0) / classes
      #expect(abs(expected - Double(detail.distribution[c])) < 2e-6)
    }
  }

  @Test(arguments: cases)
  func noDetailDependsOnRanksOrPlace(_ test: Case) throws {
    let alone = try Self.run(test, ranks: 1, place: .root)
    for ranks in [1, 2, 3] {
      for place in [GatePlacement.root, .replicated] {
        #expect(try Self.run(test, ranks: ranks, place: place) == alone, "\(ranks) ranks, \(place)")
      }
    }
  }

  // MARK: - The choice for the page

  private func outcome(_ sample: Int, isRight: Bool, _ gate: [Float]) -> SampleOutcome {
    SampleOutcome(
      sample: sample, label: 1, prediction: isRight ? 1 : 0, probability: 0.5, expert: 0,
      gateProbabilities: gate)
  }

  @Test func theChoiceIsTheRules() {
    let sure: [Float] = [0.9, 0.1]
    let even: [Float] = [0.5, 0.5]
    let nearly: [Float] = [0.4, 0.6]
    var choice = SampleChoice()
    choice.add([
      outcome(0, isRight: true, even), outcome(1, isRight: false, sure), outcome(2, isRight: true, sure),
    ])
    // The second even gate comes after one that is nearly even; the third comes too late.
    choice.add([
      outcome(3, isRight: false, nearly), outcome(4, isRight: true, sure), outcome(5, isRight: true, sure),
      outcome(6, isRight: false, even), outcome(7, isRight: false, even), outcome(8, isRight: false, sure),
    ])
    #expect(choice.samples.map(\.sample) == [2, 4, 1, 3, 0, 6])
    #expect(
      choice.samples.map(\.reason) == [.right, .right, .wrong, .wrong, .undecided, .undecided])
  }

  @Test func aChoiceOfFewTakesEachOnce() {
    var choice = SampleChoice()
    choice.add([outcome(4, isRight: true, [1, 0])])
    #expect(choice.samples.map(\.sample) == [4])
    #expect(SampleChoice().samples.isEmpty)
  }

  @Test func recordedImagesFitTheirLimit() throws {
    // Noise of three colours, which no compression makes smaller: 6 · 64 · 64 · 3 bytes.
    let shape = ImageShape(channels: 3, height: 64, width: 64)
    var generator = SplitMix(state: 3)
    let bytes = (0..<6 * shape.pixels).map { _ in UInt8(generator.below(256)) }
    let images = ImageSet(shape: shape, images: bytes, labels: Array(repeating: 0, count: 6))
    let details = (0..<6).map { sample in
      SampleDetail(
        outcome: outcome(sample, isRight: true, [0.5, 0.5]), distribution: [0.25, 0.75],
        layers: [.init(gate: [0.5, 0.5], parts: [.mixed, .idle])], answers: [[0.125, 0.875], nil])
    }
    let reasons = details.map { _ in SampleChoice.Reason.right }
    let record = SampleRecord(details, reasons: reasons, images: images, epoch: 2, step: 9)
    #expect(record.imageBytes > 0 && record.imageBytes <= SampleRecord.imageLimit)
    guard case .array(let samples)? = record.json["samples"] else {
      Issue.record("no samples")
      return
    }
    let pictures = try samples.map { try #require(Data(base64Encoded: $0["image"]?.stringValue ?? "")) }
    #expect(pictures.reduce(0) { $0 + $1.count } == record.imageBytes)
    // Halved twice: 6 · 32 · 32 · 3 is more than the limit.
    for picture in pictures { #expect(PNG.size(of: Array(picture))?.width == 16) }
    #expect(
      samples[0]["answers"]?.text()
        == "[[{\"class\":1,\"probability\":0.875},{\"class\":0,\"probability\":0.125}],null]")
    #expect(samples[0]["layers"]?.text().contains("\"ran\":[0]") == true)
    let bare = SampleRecord(details, reasons: reasons, images: nil, epoch: 2, step: 9)
    #expect(bare.imageBytes == 0 && bare.json.text().contains("image") == false)
  }
}
