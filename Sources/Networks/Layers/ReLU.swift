public import KernelInterface
internal import Numerics

/// max(0, x).
public struct ReLU: Layer {
  /// It keeps the shape of a row and has no tensors.
  public init() {}

  public func forward(_ x: [FeatureMap], into y: [FeatureMap], _ place: LayerPlace) -> LayerTrace {
    place.context.team.run(x.count) {
      y[$0].copy(x[$0])
      kernels.rectify(y[$0])
    }
    return LayerTrace(x: x, y: y)
  }

  public func backward(
    _ trace: LayerTrace, dy: [FeatureMap], into dx: [FeatureMap]?, _ place: LayerPlace,
    _ gradients: LayerGradients
  ) {
    guard let dx else { return }
    place.context.team.run(dy.count) {
      dx[$0].copy(dy[$0])
      kernels.keepWherePositive(trace.y[$0], in: dx[$0])
    }
  }
}
