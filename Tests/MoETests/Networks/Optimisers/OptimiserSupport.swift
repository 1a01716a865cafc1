import KernelInterface
import Networks
import Testing

/// One update of a list of numbers in double precision, written out from the paper.
protocol ReferenceOptimiser {
  mutating func update(_ values: inout [Double], _ gradients: [Double], learningRate: Double, decay: Double)
}

/// How an optimiser is tried.
struct OptimiserCase: CustomTestStringConvertible, Sendable {
  var decay = 0.0
  var limit: Double?
  /// In what pieces the floats are updated: the result must not know.
  var pieces = 1

  var testDescription: String {
    "decay \(decay), limit \(limit.map { String($0) } ?? "none"), \(pieces) pieces"
  }

  static let all = [
    OptimiserCase(), OptimiserCase(decay: 0.02), OptimiserCase(decay: 0.02, pieces: 3),
    OptimiserCase(limit: 0.5),
    OptimiserCase(decay: 0.02, limit: 0.5), OptimiserCase(limit: 1e9),
  ]

  static let steps = 8

  /// Trains two tensors of 70 and 33 floats by gradients that are drawn anew in every step, with a learning rate that
  /// changes, and compares every value with the reference.
  func check(_ optimiser: any Optimiser, against reference: some ReferenceOptimiser) {
    var reference = reference
    var draws = KernelTests.Values(state: 5)
    let sizes = [70, 33]
    let parameters = Parameters(
      sizes.enumerated().map { TensorSpec(name: "t\($0)", shape: [$1], role: .weight(fanIn: 1)) },
      training: true)
    parameters.prepare(for: optimiser)
    guard let training = parameters.training else { return }
    var expected = (0..<103).map { _ in Double(draws.next()) }
    // The tensors' floats, with the padding between them left out.
    let places = parameters.places.flatMap { place in (0..<place.spec.count).map { place.offset + $0 } }
    for (place, value) in zip(places, expected) { parameters.values[place] = Float(value) }
    for step in 1...Self.steps {
      let gradients = places.map { _ in Double(draws.next()) }
      for (place, value) in zip(places, gradients) { training.gradients[place] = Float(value) }
      let norm = gradients.reduce(0) { $0 + $1 * $1 }.squareRoot()
      var point = UpdatePoint(step: step, learningRate: 0.01 / Double(step), weightDecay: decay)
      var scale = 1.0
      if let limit {
        // torch.nn.utils.clip_grad_norm_
        scale = min(1, limit / (norm + 1e-6))
        #expect(abs(parameters.squareSum().squareRoot() - norm) < 1e-12 * norm)
        point.gradientScale = clippingScale(norm: parameters.squareSum().squareRoot(), limit: limit)
      }
      reference.update(
        &expected, gradients.map { $0 * scale }, learningRate: 0.01 / Double(step), decay: decay)
      let vectors = parameters.trainedCount / 16
      for piece in 0..<pieces {
        parameters.update(point, vectors * piece / pieces * 16..<vectors * (piece + 1) / pieces * 16)
      }
    }
    for (place, value) in zip(places, expected) {
      #expect(abs(Double(parameters.values[place]) - value) < 2e-6)
    }
    let padding = Set(0..<parameters.trainedCount).subtracting(places)
    #expect(!padding.isEmpty && padding.allSatisfy { parameters.values[$0] == 0 })
  }
}
