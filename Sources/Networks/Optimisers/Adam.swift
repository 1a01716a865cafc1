internal import KernelInterface
internal import Numerics

/// Adam (Kingma & Ba 2015, arXiv 1412.6980) as torch.optim.Adam has it, with weight decay coupled to the gradient:
/// g ← g + λw, m ← β1 m + (1 − β1) g, v ← β2 v + (1 − β2) g², w ← w − η m̂ / (√v̂ + ε).
public struct Adam: Optimiser {
  /// β1, the keep rate of the first moment m.
  public var beta1: Double
  /// β2, the keep rate of the second moment v.
  public var beta2: Double
  /// ε
  public var epsilon: Double

  /// Adam with PyTorch's constants, unless told otherwise.
  public init(beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8) {
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
  }

  public var state: [String] { ["m", "v"] }

  public func update(_ floats: TrainedFloats, at point: UpdatePoint) {
    update(floats, at: point, isDecoupled: false)
  }

  /// - Parameter isDecoupled: whether the decay goes past m and v, as ``AdamW`` has it.
  func update(_ floats: TrainedFloats, at point: UpdatePoint, isDecoupled: Bool) {
    let step = AdamStep(
      step: point.step, learningRate: point.learningRate, weightDecay: point.weightDecay,
      isDecoupled: isDecoupled, gradientScale: point.gradientScale, beta1: beta1, beta2: beta2,
      epsilon: epsilon)
    kernels.adam(
      step, values: floats.values, gradients: floats.gradients, first: floats.state[0],
      second: floats.state[1], count: floats.count)
  }
}
