public import KernelInterface
public import Numerics

/// A dense layer, y = W·x + b, and max(0, y) where it is rectified; the input is flattened as PyTorch does.
public struct Dense: Layer {
  /// Values of a row that it gives.
  public let outputs: Int
  /// With ReLU behind it, in the same pass over memory.
  public let rectified: Bool
  public let label: String?

  /// - Parameters:
  ///   - outputs: values of a row that it gives.
  ///   - rectified: whether ReLU follows.
  ///   - label: what its tensors are called, see ``Layer/label``.
  public init(_ outputs: Int, rectified: Bool = false, label: String = "fc") {
    self.outputs = outputs
    self.rectified = rectified
    self.label = label
  }

  public func output(_ input: ImageShape) -> ImageShape { ImageShape(features: outputs) }

  public func tensors(name: String, input: ImageShape) -> [TensorSpec] {
    let role = TensorSpec.Role.weight(fanIn: input.pixels)
    return [
      TensorSpec(name: "\(name).weight", shape: [outputs, input.pixels], role: role),
      TensorSpec(name: "\(name).bias", shape: [outputs], role: role),
    ]
  }

  public func flops(_ input: ImageShape) -> Int { 2 * input.pixels * outputs }

  public func forward(_ x: [FeatureMap], into y: [FeatureMap], _ place: LayerPlace) -> LayerTrace {
    let (weight, bias) = (place.values("weight"), place.values("bias"))
    place.context.team.run(x.count) {
      place.context.products.forward(
        weight, outputs: outputs, x[$0], bias: bias, rectify: rectified, into: y[$0], in: place.pieces[$0])
    }
    return LayerTrace(x: x, y: y)
  }

  public func backward(
    _ trace: LayerTrace, dy: [FeatureMap], into dx: [FeatureMap]?, _ place: LayerPlace,
    _ gradients: LayerGradients
  ) {
    let weight = place.values("weight")
    let biases = place.pieces.map { $0.floats(FeatureMap.columns(rows: outputs)) }
    place.context.team.run(dy.count) { block in
      if rectified { kernels.keepWherePositive(trace.y[block], in: dy[block]) }
      kernels.biasGradient(dy[block], into: biases[block])
      guard let dx else { return }
      place.context.products.inputGradient(weight, dy[block], into: dx[block], in: place.pieces[block])
    }
    gradients.addProduct(zip(dy, trace.x).map { ($0, $1) }, to: "\(place.name).weight", place)
    gradients.add(biases, count: outputs, to: "\(place.name).bias")
  }
}
