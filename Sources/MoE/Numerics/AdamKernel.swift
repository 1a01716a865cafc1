internal import CLanes

/// What one step of Adam needs beside the buffers; corrections are taken in double precision, as torch.optim.Adam does.
package struct AdamStep: Sendable {
  package static let beta1 = 0.9
  package static let beta2 = 0.999
  package static let epsilon = 1e-8

  /// learningRate / (1 − β1ᵗ)
  package let stepSize: Float
  /// 1 / √(1 − β2ᵗ)
  package let inverseCorrection: Float
  package let weightDecay: Float

  /// - Parameter step: t, counted from 1: the step of the run.
  package init(step: Int, learningRate: Double, weightDecay: Double) {
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

/// Adam (Kingma & Ba 2015) with weight decay coupled to the gradient; `count` must be a multiple of 16.
package func adam(
  _ step: AdamStep, values: Floats, gradients: UnsafePointer<Float>, first: Floats, second: Floats, count: Int
) {
  precondition(count % laneCount == 0, "parameter buffers are padded to whole vectors")
  let decay = lanes_splat(step.weightDecay)
  let rate1 = lanes_splat(Float(1 - AdamStep.beta1))
  let keep2 = lanes_splat(Float(AdamStep.beta2))
  let rate2 = lanes_splat(Float(1 - AdamStep.beta2))
  let correction = lanes_splat(step.inverseCorrection)
  let epsilon = lanes_splat(Float(AdamStep.epsilon))
  let size = lanes_splat(step.stepSize)
  var i = 0
  while i < count {
    let w = lanes_load(values + i)
    let g = lanes_fma(decay, w, lanes_load(gradients + i))
    let m0 = lanes_load(first + i)
    let m = lanes_fma(rate1, g - m0, m0)
    let v = lanes_fma(rate2 * g, g, keep2 * lanes_load(second + i))
    lanes_store(first + i, m)
    lanes_store(second + i, v)
    let denominator = lanes_fma(lanes_sqrt(v), correction, epsilon)
    lanes_store(values + i, w - size * (m / denominator))
    i &+= laneCount
  }
}
