import Networks
import Testing

private struct PlainSGD: ReferenceOptimiser {
  let momentum: Double
  var buffer: [Double]?

  mutating func update(_ values: inout [Double], _ gradients: [Double], learningRate: Double, decay: Double) {
    let g = values.indices.map { gradients[$0] + decay * values[$0] }
    // torch.optim.SGD begins with a copy of the gradient.
    let b = buffer.map { old in g.indices.map { momentum * old[$0] + g[$0] } } ?? g
    buffer = b
    for i in values.indices { values[i] -= learningRate * b[i] }
  }
}

/// torch.optim.SGD.
struct SGDTests {
  @Test(arguments: OptimiserCase.all, [0, 0.9])
  func stepsAreThoseOfTheFormula(_ test: OptimiserCase, momentum: Double) {
    test.check(SGD(momentum: momentum), against: PlainSGD(momentum: momentum))
  }

  @Test func keepsAStateOnlyForMomentum() {
    #expect(SGD(momentum: 0.5).state == ["momentum"])
    #expect(SGD().state.isEmpty)
  }
}
