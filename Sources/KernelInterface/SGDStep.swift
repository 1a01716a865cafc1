/// What one step of stochastic gradient descent needs beside the buffers.
public struct SGDStep: Sendable {
  /// −η
  public let change: Float
  /// μ
  public let momentum: Float
  /// λ of g + λw
  public let weightDecay: Float
  /// What gradients are multiplied by before anything else.
  public let gradientScale: Float

  /// - Parameters:
  ///   - learningRate: η of this step.
  ///   - momentum: μ
  ///   - weightDecay: λ
  ///   - gradientScale: what gradients are multiplied by first.
  public init(learningRate: Double, momentum: Double, weightDecay: Double, gradientScale: Double = 1) {
    change = Float(-learningRate)
    self.momentum = Float(momentum)
    self.weightDecay = Float(weightDecay)
    self.gradientScale = Float(gradientScale)
  }
}
