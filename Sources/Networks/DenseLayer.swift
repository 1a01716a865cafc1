internal import KernelInterface
internal import Numerics

/// A dense layer: where its tensors lie in the network's parameters.
struct DenseLayer {
  package let inputs: Int
  let outputs: Int
  let weight: Int
  let bias: Int
  let products: DenseProducts

  func forward(_ x: FeatureMap, into y: FeatureMap, values: Floats, rectify: Bool, in workspace: Workspace) {
    products.forward(
      values + weight, outputs: outputs, x, bias: values + bias, rectify: rectify, into: y, in: workspace)
  }

  /// - Parameter input: the layer's input where it is another layer's rectified output: the gradient is that before its
  ///   ReLU.
  func inputGradient(
    _ gradient: FeatureMap, rectifiedBy input: FeatureMap?, values: Floats, into result: FeatureMap,
    in workspace: Workspace
  ) {
    products.inputGradient(
      values + weight, gradient, rectifiedBy: input, into: result, in: workspace)
  }
}
