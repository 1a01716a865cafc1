internal import CLanes
public import KernelInterface

extension Kernels {
  @inline(never)
  public static func adam(
    _ step: AdamStep, values: Floats, gradients: UnsafePointer<Float>, first: Floats, second: Floats,
    count: Int
  ) {
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
}
