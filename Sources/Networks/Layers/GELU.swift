public import KernelInterface
internal import Numerics

/// x·Φ(x), Φ being the distribution function of the standard normal distribution (Hendrycks and Gimpel 2016,
/// arXiv 1606.08415), exact and not by tanh.
public struct GELU: Layer {
  /// It keeps the shape of a row and has no tensors.
  public init() {}

  public func forward(_ x: [FeatureMap], into y: [FeatureMap], _ place: LayerPlace) -> LayerTrace {
    place.context.team.run(x.count) { VectorMap.gelu(x[$0], into: y[$0]) }
    return LayerTrace(x: x, y: y)
  }

  public func backward(
    _ trace: LayerTrace, dy: [FeatureMap], into dx: [FeatureMap]?, _ place: LayerPlace,
    _ gradients: LayerGradients
  ) {
    guard let dx else { return }
    place.context.team.run(dy.count) { VectorMap.geluGradient(dy[$0], at: trace.x[$0], into: dx[$0]) }
  }
}
