import Networks
import Testing

private struct PlainAdam: ReferenceOptimiser {
  var step = 0.0
  var m: [Double] = []
  var v: [Double] = []
  // βᵗ as products.
  var power1 = 1.0
  var power2 = 1.0

  mutating func update(_ values: inout [Double], _ gradients: [Double], learningRate: Double, decay: Double) {
    if m.isEmpty { (m, v) = (values.map { _ in 0 }, values.map { _ in 0 }) }
    power1 *= 0.9
    power2 *= 0.999
    for i in values.indices {
      let g = gradients[i] + decay * values[i]
      m[i] = 0.9 * m[i] + 0.1 * g
      v[i] = 0.999 * v[i] + 0.001 * g * g
      values[i] -= learningRate * (m[i] / (1 - power1)) / ((v[i] / (1 - power2)).squareRoot() + 1e-8)
    }
  }
}

/// torch.optim.Adam: the decay is part of the gradient, behind its clipping.
struct AdamTests {
  @Test(arguments: OptimiserCase.all)
  func stepsAreThoseOfThePaper(_ test: OptimiserCase) { test.check(Adam(), against: PlainAdam()) }

  @Test func keepsTwoMoments() { #expect(Adam().state == ["m", "v"]) }
}
