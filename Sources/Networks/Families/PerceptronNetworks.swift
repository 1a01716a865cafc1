public import Numerics

/// A perceptron with mixture layers, for images of any size: a dense layer, layers of dense experts, a head.
public struct PerceptronNetworks: DenseMixtureFamily {
  public let name = "mlp"
  public let summary = "a dense layer, mixture layers of dense experts, a head; for images of any size"
  public let features = 128
  public let width = 256

  /// The family that is called `mlp`.
  public init() {}

  public func trunk(_ images: ImageShape) -> (any ModuleSpec)? {
    SequentialSpec([Dense(features, rectified: true)], input: images)
  }
}
