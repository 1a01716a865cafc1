internal import CLanes
public import KernelInterface

extension Kernels {
  @inline(never)
  public static func adam(
    _ step: AdamStep, values: Floats, gradients: UnsafePointer<Float>, first: Floats, second: Floats,
    count: Int
  ) {
    let scale = lanes_splat(step.gradientScale)
    let decay = lanes_splat(step.coupledDecay)
    let change = lanes_splat(step.decoupledChange)
    let rate1 = lanes_splat(step.firstRate)
    let keep2 = lanes_splat(step.secondKeep)
    let rate2 = lanes_splat(step.secondRate)
    let correction = lanes_splat(step.inverseCorrection)
    let epsilon = lanes_splat(step.epsilon)
    let size = lanes_splat(step.stepSize)
    var i = 0
    while i < count {
      let w = lanes_load(values + i)
      let g = lanes_fma(decay, w, scale * lanes_load(gradients + i))
      let m0 = lanes_load(first + i)
      let m = lanes_fma(rate1, g - m0, m0)
      let v = lanes_fma(rate2 * g, g, keep2 * lanes_load(second + i))
      lanes_store(first + i, m)
      lanes_store(second + i, v)
      let denominator = lanes_fma(lanes_sqrt(v), correction, epsilon)
      // The decay is added to w rather than w multiplied by 1 − ηλ, which has few digits left as a Float.
      lanes_store(values + i, lanes_fma(change, w, w) - size * (m / denominator))
      i &+= laneCount
    }
  }

  @inline(never)
  public static func sgd(
    _ step: SGDStep, values: Floats, gradients: UnsafePointer<Float>, momentum: Floats?, count: Int
  ) {
    let scale = lanes_splat(step.gradientScale)
    let decay = lanes_splat(step.weightDecay)
    let mu = lanes_splat(step.momentum)
    let change = lanes_splat(step.change)
    var i = 0
    if let momentum {
      while i < count {
        let w = lanes_load(values + i)
        let g = lanes_fma(decay, w, scale * lanes_load(gradients + i))
        let b = lanes_fma(mu, lanes_load(momentum + i), g)
        lanes_store(momentum + i, b)
        lanes_store(values + i, lanes_fma(change, b, w))
        i &+= laneCount
      }
    } else {
      while i < count {
        let w = lanes_load(values + i)
        let g = lanes_fma(decay, w, scale * lanes_load(gradients + i))
        lanes_store(values + i, lanes_fma(change, g, w))
        i &+= laneCount
      }
    }
  }

  @inline(never)
  public static func squareSum(_ values: UnsafePointer<Float>, count: Int) -> Double {
    var sum = SIMD16<Double>()
    var i = 0
    while i < count {
      sum = lanes_add_square_wide(sum, lanes_load(values + i))
      i &+= laneCount
    }
    return lanes_sum_wide(sum)
  }
}
