/// What one step of Adam needs beside the buffers; corrections are taken in double precision, as torch.optim.Adam does.
public struct AdamStep: Sendable {
  @inlinable @inline(__always) public static var beta1: Double { 0.9 }
  @inlinable @inline(__always) public static var beta2: Double { 0.999 }
  @inlinable @inline(__always) public static var epsilon: Double { 1e-8 }

  /// learningRate / (1 − β1ᵗ)
  public let stepSize: Float
  /// 1 / √(1 − β2ᵗ)
  public let inverseCorrection: Float
  public let weightDecay: Float

  /// - Parameter step: t, counted from 1: the step of the run.
  public init(step: Int, learningRate: Double, weightDecay: Double) {
    stepSize = Float(learningRate / (1 - power(AdamStep.beta1, step)))
    inverseCorrection = Float(1 / (1 - power(AdamStep.beta2, step)).squareRoot())
    self.weightDecay = Float(weightDecay)
  }
}

/// xⁿ by repeated squaring, the same on every machine.
private func power(_ x: Double, _ n: Int) -> Double {
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
