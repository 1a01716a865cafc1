import Networks
import Testing

private struct PlainAdamW: ReferenceOptimiser {
  var m: [Double] = []
  var v: [Double] = []
  var power1 = 1.0
  var power2 = 1.0

  mutating func update(_ values: inout [Double], _ gradients: [Double], learningRate: Double, decay: Double) {
    if m.isEmpty { (m, v) = (values.map { _ in 0 }, values.map { _ in 0 }) }
    power1 *= 0.9
    power2 *= 0.999
    for i in values.indices {
      values[i] *= 1 - learningRate * decay
      m[i] = 0.9 * m[i] + 0.1 * gradients[i]
      v[i] = 0.999 * v[i] + 0.001 * gradients[i] * gradients[i]
      values[i] -= learningRate * (m[i] / (1 - power1)) / ((v[i] / (1 - power2)).squareRoot() + 1e-8)
    }
  }
}

/// torch.optim.AdamW: the moments know nothing of the decay.
struct AdamWTests {
  @Test(arguments: OptimiserCase.all)
  func stepsAreThoseOfThePaper(_ test: OptimiserCase) { test.check(AdamW(), against: PlainAdamW()) }

  /// 1 − ηλ has few digits left as a Float: a thousand small decays must still be (1 − ηλ)¹⁰⁰⁰.
  @Test func smallDecaysAreNotRoundedAway() {
    let parameters = Parameters([TensorSpec(name: "w", shape: [16], role: .weight(fanIn: 1))], training: true)
    parameters.prepare(for: AdamW())
    for i in 0..<16 { parameters.values[i] = 1 + Float(i) / 16 }
    var kept = 1.0
    for step in 1...1000 {
      parameters.update(UpdatePoint(step: step, learningRate: 1e-3, weightDecay: 0.0137))
      kept *= 1 - 1e-3 * 0.0137
    }
    for i in 0..<16 {
      let expected = (1 + Double(i) / 16) * kept
      // Each of the steps rounds by at most half a unit, up or down.
      #expect(abs(Double(parameters.values[i]) - expected) < 0.02 * (1 - kept) * expected)
    }
  }
}
