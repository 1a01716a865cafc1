internal import KernelInterface
internal import Numerics

/// Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2) as torch.optim.AdamW has
/// it: m and v are those of the gradient alone, and w ← w − ηλw − η m̂ / (√v̂ + ε). η is that of the schedule.
public struct AdamW: Optimiser {
  public var beta1: Double
  public var beta2: Double
  public var epsilon: Double

  public init(beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8) {
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
  }

  public var state: [String] { ["m", "v"] }

  public func update(_ floats: TrainedFloats, at point: UpdatePoint) {
    let step = AdamStep(
      step: point.step, learningRate: point.learningRate, weightDecay: point.weightDecay, isDecoupled: true,
      gradientScale: point.gradientScale, beta1: beta1, beta2: beta2, epsilon: epsilon)
    kernels.adam(
      step, values: floats.values, gradients: floats.gradients, first: floats.state[0],
      second: floats.state[1], count: floats.count)
  }
}
