public import KernelInterface
public import Numerics

/// x + f(x), f being layers that keep the shape (He et al. 2016, arXiv 1512.03385).
public struct Residual: Layer {
  public let layers: [any Layer]

  public init(_ layers: [any Layer]) { self.layers = layers }

  public func tensors(name: String, input: ImageShape) -> [TensorSpec] {
    placements(name: name, input: input).flatMap { $0.layer.tensors(name: $0.name, input: $0.input) }
  }

  public var label: String? { layers.contains { $0.label != nil } ? "block" : nil }
  public func flops(_ input: ImageShape) -> Int {
    placements(name: "", input: input).reduce(0) { $0 + $1.layer.flops($1.input) }
  }

  func placements(name: String, input: ImageShape) -> [LayerPlacement] {
    let found = LayerList.placements(layers, prefix: name, input: input)
    precondition(LayerList.output(layers, input) == input, "the layers of a residual keep the shape of a row")
    return found
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
