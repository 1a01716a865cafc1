internal import KernelInterface
public import Numerics

/// A network of the paper: convolutions, each with BatchNorm where it has one, ReLU and a 2×2 maximum pool, then dense
/// layers; ReLU behind every hidden layer (method of arXiv 2302.14703, appendix).
public struct NetworkSpec: Equatable, Sendable {
  /// The images that it takes.
  public let input: ImageShape
  /// At least one, in the order in which images pass them.
  public let convolutions: [ConvolutionLayer]
  /// Widths of the hidden dense layers.
  public let hidden: [Int]
  /// Values of a row that it gives: logits, unless it is headless.
  public let outputs: Int
  /// Without a layer of its own for the output: the last hidden layer's values, before ReLU, are the output.
  public let headless: Bool

  /// A network of any convolutions, of which there is at least one.
  public init(
    input: ImageShape, convolutions: [ConvolutionLayer], hidden: [Int], outputs: Int, headless: Bool = false
  ) {
    precondition(!convolutions.isEmpty, "a network begins with a convolution")
    self.input = input
    self.convolutions = convolutions
    self.hidden = hidden
    self.outputs = outputs
    self.headless = headless
  }

  /// The network of one 3×3 convolution without padding.
  public init(
    input: ImageShape, filters: Int, batchNorm: Bool = false, hidden: [Int], outputs: Int,
    headless: Bool = false
  ) {
    self.init(
      input: input, convolutions: [ConvolutionLayer(filters: filters, batchNorm: batchNorm)],
      hidden: hidden, outputs: outputs, headless: headless)
  }

  /// The convolutions with the sizes of their inputs.
  package var stages: [StageShape] {
    var list: [StageShape] = []
    for layer in convolutions {
      list.append(
        StageShape(
          layer: layer, inputs: list.last?.filters ?? input.channels,
          inputHeight: list.last?.pooledHeight ?? input.height,
          inputWidth: list.last?.pooledWidth ?? input.width))
    }
    return list
  }

  /// Why the convolutions cannot take these images, as the end of a sentence; nil where they can.
  var misfit: String? {
    for (index, stage) in stages.enumerated() where !stage.fits {
      let kernel = stage.layer.kernel
      return
        "images of \(input.height)×\(input.width) pixels leave \(max(stage.height, 0))×\(max(stage.width, 0)) "
        + "behind its \(kernel)×\(kernel) convolution \(index + 1), and the pool behind it needs 2×2"
    }
    return nil
  }

  /// Lengths of the vectors of double precision that a step of training sums over the batch's blocks while it runs, see
  /// ``BlockSums/combine(_:length:)``: BatchNorm's statistics, and in the backward pass what follows from them.
  package var combinedSums: (forward: [Int], backward: [Int]) {
    let normalised = stages.filter(\.layer.batchNorm)
    if hasStem {
      return (normalised.map { _ in PatchSums.count + 1 }, stages.map { 10 * $0.filters })
    }
    return (normalised.map { 2 * $0.filters + 1 }, normalised.map { 2 * $0.filters })
  }

  /// Features that the dense layers see, flattened channel by channel as PyTorch does.
  package var convolvedFeatures: Int { stages.last?.features ?? 0 }

  /// Whether the one convolution is over one channel, 3×3 without padding: ``ConvolutionStem`` does it faster.
  package var hasStem: Bool {
    input.channels == 1 && convolutions.count == 1 && convolutions[0].kernel == 3
      && convolutions[0].padding == 0 && convolutions[0].bias
  }

  /// (inputs, outputs) of every dense layer.
  package var dense: [(inputs: Int, outputs: Int)] {
    let widths = [convolvedFeatures] + hidden + [outputs]
    return zip(widths, widths.dropFirst()).map { ($0, $1) }
  }

  /// Names of the dense layers: fc1, fc2, …, out; the last is a fc, too, where the network is headless.
  package var denseNames: [String] {
    hidden.indices.map { "fc\($0 + 1)" } + [headless ? "fc\(hidden.count + 1)" : "out"]
  }

  /// The tensors of the network, with PyTorch's shapes, named `<prefix>.conv1.weight` and so on.
  public func tensors(prefix: String) -> [TensorSpec] {
    var list: [TensorSpec] = []
    for (index, stage) in stages.enumerated() {
      let kernel = stage.layer.kernel
      let role = TensorSpec.Role.weight(fanIn: stage.inputs * stage.taps)
      let name = "\(prefix).conv\(index + 1)"
      list.append(
        TensorSpec(
          name: "\(name).weight", shape: [stage.filters, stage.inputs, kernel, kernel], role: role))
      if stage.layer.bias {
        list.append(TensorSpec(name: "\(name).bias", shape: [stage.filters], role: role))
      }
      guard stage.layer.batchNorm else { continue }
      let norm = "\(prefix).bn\(index + 1)"
      list += [
        TensorSpec(name: "\(norm).weight", shape: [stage.filters], role: .constant(1)),
        TensorSpec(name: "\(norm).bias", shape: [stage.filters], role: .constant(0)),
        TensorSpec(name: "\(norm).running_mean", shape: [stage.filters], role: .statistic(0)),
        TensorSpec(name: "\(norm).running_var", shape: [stage.filters], role: .statistic(1)),
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

  /// FLOPs of the forward pass per sample: 2 per multiply-add of convolutions and dense layers. A padded convolution
  /// counts all taps, also those on the padding.
  public var forwardFlops: Int {
    stages.reduce(0) { $0 + $1.flops } + dense.reduce(0) { $0 + 2 * $1.inputs * $1.outputs }
  }

  /// FLOPs of the backward pass per sample: every weight gradient, and every input gradient but the first layer's.
  public var backwardFlops: Int { 2 * forwardFlops - (stages.first?.flops ?? 0) }

  /// Bytes that the activations and their gradients take for a block of so many rows, and what is scratch beside them.
  ///
  /// - Parameters:
  ///   - rows: of a block.
  ///   - blocks: those that are worked on together, of at most so many rows each.
  ///   - products: what computes the dense layers.
  public func workspaceBytes(rows: Int, blocks: Int = 1, products: DenseProducts = .own) -> Int {
    mapBytes(rows: rows) + scratchBytes(rows: rows, blocks: blocks, products: products)
  }

  /// Bytes of the scratch memory of a dense layer's products, of the bias gradients and of a convolution stage.
  public func scratchBytes(rows: Int, blocks: Int = 1, products: DenseProducts = .own) -> Int {
    let layers = dense.map {
      products.layerWorkspaceBytes(
        inputs: $0.inputs, outputs: $0.outputs, rows: rows, blocks: blocks)
    }
    let stage = hasStem ? 0 : stages.indices.map { stages[$0].scratchBytes(inputGradient: $0 > 0) }.max() ?? 0
    let biases = dense.reduce(0) { $0 + Workspace.bytes(floats: $1.outputs) }
    return (layers.max() ?? 0) + biases + stage
  }

  private func mapBytes(rows: Int) -> Int {
    let stem = convolvedFeatures
    // The last hidden layer once more, for its values before ReLU.
    let maps = [stem, stem, hidden.last ?? 0] + (hidden + [outputs]).flatMap { [$0, $0] }
    let dense = maps.reduce(0) {
      $0 + Workspace.bytes(floats: FeatureMap.count(features: $1, rows: rows))
    }
    return dense
      + (hasStem ? (stem * FeatureMap.columns(rows: rows) + 63) / 64 * 64 : stackBytes(rows: rows))
  }
}
