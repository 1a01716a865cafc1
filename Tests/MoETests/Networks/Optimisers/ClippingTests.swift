import DataSets
import Dist
import MoE
import Networks
import Testing
import Training

/// torch.nn.utils.clip_grad_norm_ over all parameters of the model.
struct ClippingTests {
  typealias Case = StepAgainstReferenceTests.Case

  @Test func theScaleIsThatOfTorch() {
    #expect(clippingScale(norm: 4, limit: 1) == 1 / (4 + 1e-6))
    #expect(clippingScale(norm: 0.5, limit: 1) == 1)
    #expect(clippingScale(norm: 0, limit: 1) == 1)
  }

  /// Chunks are of the whole buffer, and a range has its own.
  @Test func sumsOfChunksMakeTheNorm() {
    let count = 3 * Parameters.chunk + 100
    let parameters = Parameters(
      [TensorSpec(name: "w", shape: [count], role: .weight(fanIn: 1))], training: true)
    var draws = KernelTests.Values(state: 9)
    let values = (0..<count).map { _ in draws.next() }
    for (i, value) in values.enumerated() { parameters.training?.gradients[i] = value }
    let sums = parameters.squareSums(0..<parameters.trainedCount)
    #expect(sums.count == 4)
    for (chunk, sum) in sums.enumerated() {
      let own = values[chunk * Parameters.chunk..<min((chunk + 1) * Parameters.chunk, count)]
      let expected = own.reduce(0) { $0 + Double($1) * Double($1) }
      #expect(abs(sum - expected) < 1e-12 * expected)
    }
    let middle = parameters.squareSums(Parameters.chunk..<3 * Parameters.chunk)
    #expect(middle == Array(sums[1...2]))
    #expect(parameters.squareSum() == ((sums[0] + sums[1]) + sums[2]) + sums[3])
  }

  /// Neither ranks, nor the gate's place, nor who owns an expert changes a bit of the norm and of the gate's sum in it: the
  /// scale, a Float, and the root and the experts' larger sums would hide most of them.
  @Test(arguments: [GateKind.softmax, .attentive])
  func theNormHasTheSameBitsEverywhere(gate: GateKind) throws {
    var options = DataOptions(environment: [:])
    options.trainSamples = 200
    options.testSamples = 10
    let data = try DataSetRegistry.source(named: "synthetic").load(options)
    var seen: Set<[UInt64]> = []
    for ranks in [1, 2, 3, 5] {
      for place in GatePlacement.allCases {
        for placement in ["block", "round-robin"] {
          var configuration = Configuration()
          configuration.dataset = "synthetic"
          configuration.model = "mnist"
          configuration.gate = gate
          configuration.batchSize = 150
          configuration.blockRows = 32
          configuration.gatePlacement = place
          configuration.placement = placement
          let settings = configuration
          let norms = try LocalGroup.run(ranks: ranks) { communicator in
            let session = try ModelSession(
              settings, data: data, communicator: communicator, training: true,
              clock: PhaseClock(communicator) { _, _ in })
            session.parts.initialise(seed: 3)
            let batch = (0..<Int32(150)).map { $0 }
            _ = try session.trainingStep?.run(
              batch[...], of: ImageView(data.train), epoch: 0,
              mode: .training(UpdatePoint(step: 1, learningRate: 0)),
              word: 0)
            let ofGate = try (session.parts.gate?.parameters ?? []).map {
              try session.parts.place.squareSum($0)
            }
            return (norm: try session.parts.gradientNorm(), ofGate: ofGate)
          }
          #expect(
            norms.allSatisfy {
              $0.norm == norms[0].norm && ($0.ofGate == norms[0].ofGate || $0.ofGate.isEmpty)
            })
          seen.insert(([norms[0].norm] + norms[0].ofGate).map(\.bitPattern))
        }
      }
    }
    #expect(seen.count == 1)
    #expect(seen.allSatisfy { sums in sums.count > 1 && sums.allSatisfy { Double(bitPattern: $0) > 0 } })
  }

  static let cases = [
    Case(family: .mnist, rule: .expectation, clipNorm: 0.05),
    Case(family: .mnist, rule: .expectation, weightDecay: 0.01, gatePlacement: .replicated, clipNorm: 0.05),
    Case(family: .mnist, rule: .topK(1, full: true), experts: 4, idle: 1, clipNorm: 0.05),
    Case(family: .mnist, rule: .expectation, gatePlacement: .replicated, gate: .attentive, clipNorm: 0.05),
    Case(family: .mnist, rule: .expectation, freeze: .gate, clipNorm: 0.05),
  ]

  /// Through the real exchange, against the norm of the reference's gradients.
  @Test(arguments: cases)
  func stepsAgree(_ test: Case) throws {
    let first = try firstNorm(test)
    #expect(first > 1.5 * 0.05, "the limit has no effect")
    try StepAgainstReferenceTests.expectAgreement(test, ranks: [1, 2, 3])
  }

  private func firstNorm(_ test: Case) throws -> Double {
    let images = test.batch.images(
      mean: StepAgainstReferenceTests.mean, standardDeviation: StepAgainstReferenceTests.standardDeviation)
    let model = test.model
    return ReferenceModel.norm(model.step(images, test.batch.labels.map(Int.init), test.method))
  }
}
