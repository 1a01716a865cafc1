public import KernelInterface

/// How gradients change what is trained.
///
/// What it does to a float may depend on that float, its gradient and its state alone: ranks update shares of a network,
/// and the result must not depend on how it is shared out.
///
/// Adding one: a file with a conformance, and a line in the list of ``OptimiserKind``.
public protocol Optimiser: Sendable {
  /// The names of what is kept of every trained float from step to step; it starts at zero. A checkpoint has it as
  /// `optimizer.<parameter>.<name>`.
  var state: [String] { get }

  /// Updates values and state.
  func update(_ floats: TrainedFloats, at point: UpdatePoint)
}

/// Some of the trained floats of a network, in whole vectors.
public struct TrainedFloats {
  /// w, updated in place.
  public let values: Floats
  /// ∂L/∂w of the step, before ``UpdatePoint/gradientScale``.
  public let gradients: UnsafePointer<Float>
  /// One for every name of ``Optimiser/state``, in that order.
  public let state: [Floats]
  /// A multiple of 16.
  public let count: Int

  /// `count` floats of each, in whole vectors.
  public init(values: Floats, gradients: UnsafePointer<Float>, state: [Floats], count: Int) {
    self.values = values
    self.gradients = gradients
    self.state = state
    self.count = count
  }
}

/// When an update takes place, and what is the same for everything that is trained then.
public struct UpdatePoint: Equatable, Sendable {
  /// The step of the run, counted from 1.
  public var step: Int
  /// η of this step.
  public var learningRate: Double
  /// λ
  public var weightDecay: Double
  /// What gradients are multiplied by before anything else, see ``clippingScale(norm:limit:)``.
  public var gradientScale = 1.0

  /// A step whose gradients are taken as they are.
  public init(step: Int, learningRate: Double, weightDecay: Double = 0) {
    self.step = step
    self.learningRate = learningRate
    self.weightDecay = weightDecay
  }
}
