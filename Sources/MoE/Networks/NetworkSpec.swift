/// A network of the paper: a 3×3 valid convolution over a one-channel image, optionally BatchNorm, a 2×2 maximum pool,
/// then dense layers; ReLU behind every hidden layer (method of arXiv 2302.14703, appendix).
public struct NetworkSpec: Equatable, Sendable {
  public let input: ImageShape
  public let filters: Int
  /// BatchNorm between convolution and pooling.
  public let batchNorm: Bool
  /// Widths of the hidden dense layers.
  public let hidden: [Int]
  public let outputs: Int
  /// Without a layer of its own for the output: the last hidden layer's values, before ReLU, are the output.
  public let headless: Bool

  public init(
    input: ImageShape, filters: Int, batchNorm: Bool = false, hidden: [Int], outputs: Int,
    headless: Bool = false
  ) {
    self.input = input
    self.filters = filters
    self.batchNorm = batchNorm
    self.hidden = hidden
    self.outputs = outputs
    self.headless = headless
  }

  var convolution: ConvolutionShape {
    ConvolutionShape(height: input.height, width: input.width, filters: filters)
  }

  /// (inputs, outputs) of every dense layer.
  var dense: [(inputs: Int, outputs: Int)] {
    let widths = [convolution.features] + hidden + [outputs]
    return zip(widths, widths.dropFirst()).map { ($0, $1) }
  }

  /// Names of the dense layers: fc1, fc2, …, out; the last is a fc, too, where the network is headless.
  var denseNames: [String] {
    hidden.indices.map { "fc\($0 + 1)" } + [headless ? "fc\(hidden.count + 1)" : "out"]
  }

  /// The tensors of the network, with PyTorch's shapes, named `<prefix>.conv1.weight` and so on.
  public func tensors(prefix: String) -> [TensorSpec] {
    var list = [
      TensorSpec(name: "\(prefix).conv1.weight", shape: [filters, 1, 3, 3], role: .weight(fanIn: 9)),
      TensorSpec(name: "\(prefix).conv1.bias", shape: [filters], role: .weight(fanIn: 9)),
    ]
    if batchNorm {
      list += [
        TensorSpec(name: "\(prefix).bn1.weight", shape: [filters], role: .constant(1)),
        TensorSpec(name: "\(prefix).bn1.bias", shape: [filters], role: .constant(0)),
        TensorSpec(name: "\(prefix).bn1.running_mean", shape: [filters], role: .statistic(0)),
        TensorSpec(name: "\(prefix).bn1.running_var", shape: [filters], role: .statistic(1)),
      ]
    }
    for (name, layer) in zip(denseNames, dense) {
      list += [
        TensorSpec(
          name: "\(prefix).\(name).weight", shape: [layer.outputs, layer.inputs],
          role: .weight(fanIn: layer.inputs)),
        TensorSpec(
          name: "\(prefix).\(name).bias", shape: [layer.outputs], role: .weight(fanIn: layer.inputs)),
      ]
    }
    return list
  }

  /// Trained parameters.
  public var parameterCount: Int {
    tensors(prefix: "").filter(\.isTrained).reduce(0) { $0 + $1.count }
  }

  /// FLOPs of the forward pass per sample: 2 per multiply-add of convolutions and dense layers.
  public var forwardFlops: Int {
    convolutionFlops + dense.reduce(0) { $0 + 2 * $1.inputs * $1.outputs }
  }

  /// FLOPs of the backward pass per sample: every weight gradient, and every input gradient but the first layer's.
  public var backwardFlops: Int {
    convolutionFlops + dense.reduce(0) { $0 + 4 * $1.inputs * $1.outputs }
  }

  private var convolutionFlops: Int { 2 * 9 * filters * convolution.positions }

  /// Bytes that the activations and their gradients take per row of a batch.
  func workspaceBytes(rows: Int) -> Int {
    let stem = convolution.features
    // The last hidden layer once more, for its values before ReLU.
    let maps = [stem, stem, hidden.last ?? 0] + (hidden + [outputs]).flatMap { [$0, $0] }
    return maps.reduce(0) { $0 + Workspace.bytes(floats: FeatureMap.count(features: $1, rows: rows)) }
      + (stem * FeatureMap.columns(rows: rows) + 63) / 64 * 64
  }
}
