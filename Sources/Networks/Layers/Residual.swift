public import KernelInterface
public import Numerics

/// x + f(x), f being layers that keep the shape (He et al. 2016, arXiv 1512.03385).
public struct Residual: Layer {
  public let inner: [any Layer]

  /// - Parameter layers: that keep the shape of a row together.
  public init(_ layers: [any Layer]) { inner = layers }

  public func output(_ input: ImageShape) -> ImageShape {
    precondition(LayerList.output(inner, input) == input, "the layers of a residual keep the shape of a row")
    return input
  }

  public func tensors(name: String, input: ImageShape) -> [TensorSpec] {
    LayerList.placements(inner, prefix: name, input: input).flatMap {
      $0.layer.tensors(name: $0.name, input: $0.input)
    }
  }

  public var label: String? { inner.contains { $0.label != nil } ? "block" : nil }
  public func flops(_ input: ImageShape) -> Int {
    LayerList.placements(inner, prefix: "", input: input).reduce(0) { $0 + $1.layer.flops($1.input) }
  }

  public func forward(_ x: [FeatureMap], into y: [FeatureMap], _ place: LayerPlace) throws -> LayerTrace {
    var trace = LayerTrace(x: x, y: y)
    trace.inner = try LayerList.forward(place.inner, x, into: y, place)
    place.context.team.run(x.count) { kernels.add(x[$0], to: y[$0]) }
    return trace
  }

  public func backward(
    _ trace: LayerTrace, dy: [FeatureMap], into dx: [FeatureMap]?, _ place: LayerPlace,
    _ gradients: LayerGradients
  ) throws {
    // The layers may use up what they are given.
    var kept: [FeatureMap] = []
    if dx != nil {
      for (map, piece) in zip(dy, place.pieces) {
        let copy = piece.map(features: map.features, rows: map.rows)
        copy.copy(map)
        kept.append(copy)
      }
    }
    try LayerList.backward(place.inner, trace.inner, dy: dy, into: dx, place, gradients)
    guard let dx else { return }
    place.context.team.run(dx.count) { kernels.add(kept[$0], to: dx[$0]) }
  }
}
