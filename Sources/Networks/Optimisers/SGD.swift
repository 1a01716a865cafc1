internal import KernelInterface
internal import Numerics

/// Gradient descent with momentum as torch.optim.SGD has it, without dampening and Nesterov's form, with weight decay
/// coupled to the gradient: g ← g + λw, b ← μb + g, w ← w − ηb.
///
/// Where μ is 0, b is the gradient itself and nothing is kept.
public struct SGD: Optimiser {
  /// μ
  public var momentum: Double

  /// - Parameter momentum: μ; 0: none, and nothing is kept.
  public init(momentum: Double = 0) { self.momentum = momentum }

  public var state: [String] { momentum == 0 ? [] : ["momentum"] }

  public func update(_ floats: TrainedFloats, at point: UpdatePoint) {
    let step = SGDStep(
      learningRate: point.learningRate, momentum: momentum, weightDecay: point.weightDecay,
      gradientScale: point.gradientScale)
    kernels.sgd(
      step, values: floats.values, gradients: floats.gradients, momentum: floats.state.first,
      count: floats.count)
  }
}
