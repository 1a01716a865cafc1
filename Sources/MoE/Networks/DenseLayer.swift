/// A dense layer: where its tensors lie in the network's parameters.
struct DenseLayer {
  let inputs: Int
  let outputs: Int
  let weight: Int
  let bias: Int

  func forward(_ x: FeatureMap, into y: FeatureMap, values: Floats, rectify: Bool) {
    BLAS.forward(values + weight, outputs: outputs, x, into: y)
    addBias(values + bias, to: y, rectify: rectify)
  }

  func parameterGradients(_ gradient: FeatureMap, input: FeatureMap, into gradients: Floats) {
    BLAS.weightGradient(gradient, input, into: gradients + weight)
    biasGradient(gradient, into: gradients + bias)
  }
}
