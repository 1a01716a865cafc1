/// What one step of Adam needs beside the buffers; corrections are taken in double precision, as torch.optim.Adam does.
public struct AdamStep: Sendable {
  /// 1 − β1
  public let firstRate: Float
  /// β2
  public let secondKeep: Float
  /// 1 − β2
  public let secondRate: Float
  /// ε of the denominator √v̂ + ε.
  public let epsilon: Float
  /// η / (1 − β1ᵗ)
  public let stepSize: Float
  /// 1 / √(1 − β2ᵗ)
  public let inverseCorrection: Float
  /// λ of g + λw: a decay that the moments see; 0 for AdamW.
  public let coupledDecay: Float
  /// −ηλ of w − ηλw: a decay beside the moments; 0 for Adam.
  public let decoupledChange: Float
  /// What gradients are multiplied by before anything else.
  public let gradientScale: Float

  /// - Parameters:
  ///   - step: t, counted from 1: the step of the run.
  ///   - learningRate: η of this step.
  ///   - weightDecay: λ
  ///   - isDecoupled: AdamW's decay instead of Adam's.
  ///   - gradientScale: what gradients are multiplied by first.
  ///   - beta1: β1, of the first moment.
  ///   - beta2: β2, of the second.
  ///   - epsilon: ε
  public init(
    step: Int, learningRate: Double, weightDecay: Double, isDecoupled: Bool = false,
    gradientScale: Double = 1, beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8
  ) {
    firstRate = Float(1 - beta1)
    secondKeep = Float(beta2)
    secondRate = Float(1 - beta2)
    self.epsilon = Float(epsilon)
    stepSize = Float(learningRate / (1 - power(beta1, step)))
    inverseCorrection = Float(1 / (1 - power(beta2, step)).squareRoot())
    coupledDecay = isDecoupled ? 0 : Float(weightDecay)
    decoupledChange = isDecoupled ? Float(-learningRate * weightDecay) : 0
    self.gradientScale = Float(gradientScale)
  }
}

/// xⁿ by repeated squaring, the same on every machine.
package func power(_ x: Double, _ n: Int) -> Double {
  var result = 1.0
  var base = x
  var exponent = n
  while exponent > 0 {
    if exponent & 1 == 1 { result *= base }
    base *= base
    exponent >>= 1
  }
  return result
}
