import Networks
import Numerics

/// A network of the paper: stages of convolution, BatchNorm where it has one, maximum pool and ReLU, then (dense → ReLU) for
/// every hidden width, then the output layer.
struct ReferenceNetwork {
  /// What stands before the names of its tensors: `gate` or `experts.3`.
  var name: String
  var input: ImageShape
  var stages: [Stage]
  var hidden: [Int]
  var outputs: Int
  /// Without an output layer: the last hidden layer's values before ReLU are the output.
  var headless = false

  struct Stage {
    var filters: Int
    var kernel = 3
    var padding = 0
    var batchNorm = false
    var hasBias = true
  }

  /// A network of one stage.
  init(name: String, side: Int, filters: Int, batchNorm: Bool = false, hidden: [Int], outputs: Int) {
    self.init(
      name: name, side: side, channels: 1, filters: [filters], padding: 0, batchNorm: batchNorm ? [1] : [],
      hidden: hidden, outputs: outputs)
  }

  /// - Parameters:
  ///   - filters: of every stage.
  ///   - batchNorm: numbers of the stages with BatchNorm, from 1; with several stages their convolutions have no bias.
  init(
    name: String, side: Int, channels: Int, filters: [Int], padding: Int, batchNorm: [Int], hidden: [Int],
    outputs: Int
  ) {
    (self.name, self.hidden, self.outputs) = (name, hidden, outputs)
    input = ImageShape(channels: channels, height: side, width: side)
    stages = filters.enumerated().map { index, count in
      let isNormalised = batchNorm.contains(index + 1)
      return Stage(
        filters: count, padding: padding, batchNorm: isNormalised,
        hasBias: !isNormalised || filters.count == 1)
    }
  }

  /// The network of a description.
  init(_ spec: NetworkSpec, name: String) {
    (self.name, input, hidden, outputs) = (name, spec.input, spec.hidden, spec.outputs)
    headless = spec.headless
    stages = spec.convolutions.map {
      Stage(
        filters: $0.filters, kernel: $0.kernel, padding: $0.padding, batchNorm: $0.batchNorm,
        hasBias: $0.bias)
    }
  }

  var layers: ReferenceLayers {
    var list: [any ReferenceLayer] = []
    for (index, stage) in stages.enumerated() {
      list.append(
        ReferenceConvolution(
          name: "\(name).conv\(index + 1)", filters: stage.filters, kernel: stage.kernel,
          padding: stage.padding, hasBias: stage.hasBias))
      if stage.batchNorm { list.append(ReferenceBatchNorm(name: "\(name).bn\(index + 1)")) }
      list += [ReferenceMaxPool(), ReferenceReLU()] as [any ReferenceLayer]
    }
    for (index, width) in hidden.enumerated() {
      list.append(ReferenceDense(name: "\(name).fc\(index + 1)", outputs: width))
      if !headless || index + 1 < hidden.count { list.append(ReferenceReLU()) }
    }
    if !headless { list.append(ReferenceDense(name: "\(name).out", outputs: outputs)) }
    return ReferenceLayers(layers: list, input: input)
  }

  /// Everything that the way back needs, and what the tests look at.
  struct Trace {
    var pass: ReferenceLayers.Pass
    /// The last hidden layer before its ReLU, [row][H].
    var hidden: [[Double]] = []
    /// The output; the same as `hidden` where headless.
    var logits: [[Double]] { pass.outputs }
    /// Running statistics after this step.
    var statistics: Tensors { pass.statistics }
  }

  /// The last hidden layer.
  private func tapped(_ layers: ReferenceLayers) -> Int? {
    hidden.isEmpty ? nil : layers.withTensors.dropLast(headless ? 0 : 1).last
  }

  /// - Parameter training: BatchNorm by the statistics of these rows, which also move the running ones.
  func forward(_ images: [[Double]], _ parameters: Tensors, training: Bool) -> Trace {
    let layers = layers
    let pass = layers.forward(images, parameters, training: training)
    return Trace(pass: pass, hidden: tapped(layers).map { pass.layers[$0].y } ?? [])
  }

  /// The gradient of every tensor from that of the logits, and from what the hidden layer gets beside.
  ///
  /// - Parameter hiddenGradient: by ``Trace/hidden``; nil for none.
  func backward(
    _ trace: Trace, _ logitGradient: [[Double]], hidden hiddenGradient: [[Double]]? = nil,
    _ parameters: Tensors
  ) -> Tensors {
    let layers = layers
    var gradients: Tensors = [:]
    let tap = hiddenGradient.flatMap { g in tapped(layers).map { (layer: $0, gradient: g) } }
    _ = layers.backward(trace.pass, logitGradient, tap: tap, parameters, &gradients)
    return gradients
  }

  /// Every tensor's shape by its full name, running statistics included.
  var shapes: [String: [Int]] { layers.tensors }
}
