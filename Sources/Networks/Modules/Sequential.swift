public import KernelInterface
public import Numerics

/// Layers one behind the other.
public struct SequentialSpec: ModuleSpec {
  /// At least one, in the order in which rows pass them.
  public let layers: [any Layer]
  public let input: ImageShape

  /// - Parameters:
  ///   - layers: at least one.
  ///   - input: the shape of a row that comes in.
  public init(_ layers: [any Layer], input: ImageShape) {
    precondition(!layers.isEmpty, "a sequence has a layer")
    self.layers = layers
    self.input = input
  }

  func placements(prefix: String) -> [LayerPlacement] {
    LayerList.placements(layers, prefix: prefix, input: input)
  }

  /// The layer whose output is tapped: the last but one that has tensors.
  var tappedLayer: Int? {
    layers.indices.filter { layers[$0].label != nil }.dropLast().last
  }

  public var outputs: Int { LayerList.output(layers, input).pixels }
  public var tapped: Int {
    tappedLayer.map { LayerList.output(Array(layers[...$0]), input).pixels } ?? 0
  }

  public func tensors(prefix: String) -> [TensorSpec] {
    let all = placements(prefix: prefix).flatMap { $0.layer.tensors(name: $0.name, input: $0.input) }
    return all.filter(\.isTrained) + all.filter { !$0.isTrained }
  }

  /// The same with the tapped layer's activation in a layer of its own, so that its values before it are there.
  private var unfused: SequentialSpec {
    guard let tappedLayer, let dense = layers[tappedLayer] as? Dense, dense.rectified else { return self }
    var list = layers
    list.replaceSubrange(
      tappedLayer...tappedLayer,
      with: [Dense(dense.outputs, label: dense.label ?? "fc"), ReLU()] as [any Layer])
    return SequentialSpec(list, input: input)
  }

  private var flops: [Int] { placements(prefix: "").map { $0.layer.flops($0.input) } }
  public var forwardFlops: Int { flops.reduce(0, +) }
  public var backwardFlops: Int { 2 * forwardFlops - inputGradientFlops }
  public var inputGradientFlops: Int { flops.first { $0 > 0 } ?? 0 }

  public func workspaceBytes(rows: Int, blocks: Int, products: DenseProducts) -> Int {
    let maps = placements(prefix: "").reduce(0) {
      $0 + 2 * Workspace.bytes(floats: FeatureMap.count(features: $1.input.pixels, rows: rows))
    }
    return maps + scratchBytes(rows: rows, blocks: blocks, products: products)
  }

  public func scratchBytes(rows: Int, blocks: Int, products: DenseProducts) -> Int {
    placements(prefix: "").map {
      products.layerWorkspaceBytes(
        inputs: $0.input.pixels, outputs: $0.layer.output($0.input).pixels, rows: rows, blocks: blocks)
    }.max() ?? 0
  }

  public func makeModule(prefix: String, isTapped: Bool, _ context: ModuleContext) -> any Module {
    Sequential(isTapped ? unfused : self, prefix: prefix, context)
  }
}

/// Layers one behind the other, with their tensors.
public final class Sequential: Module {
  private let spec: SequentialSpec
  private let context: ModuleContext
  private let layers: [LayerPlacement]
  private let tensors: Parameters
  private let gradients: BlockGradients?
  public var work = ModuleWork()

  /// - Parameters:
  ///   - spec: the layers.
  ///   - prefix: what the names of the tensors begin with.
  ///   - context: where it works and with what.
  public init(_ spec: SequentialSpec, prefix: String, _ context: ModuleContext) {
    self.spec = spec
    self.context = context
    layers = spec.placements(prefix: prefix)
    tensors = Parameters(spec.tensors(prefix: prefix), training: context.isTrained)
    gradients = context.isTrained ? BlockGradients(tensors, sums: context.sums) : nil
  }

  private struct Pass: ModulePass {
    let traces: [LayerTrace]
    let place: LayerPlace
    let rows: Int
  }

  public var parameters: [Parameters] { tensors.places.isEmpty ? [] : [tensors] }
  public var inputs: Int { spec.inputs }
  public var outputs: Int { spec.outputs }
  public var tapped: Int { spec.tapped }

  public func forward(
    _ blocks: [RowBlock], into outputs: [FeatureMap], taps: [FeatureMap]?, mode: NetworkMode,
    in pieces: [Workspace]
  ) throws -> any ModulePass {
    let place = LayerPlace(
      name: "", input: spec.input, mode: mode, context: context, pieces: pieces, parameters: tensors,
      inner: [])
    let x = zip(blocks, pieces).map { $0.features(in: $1) }
    let traces = try LayerList.forward(layers, x, into: outputs, place)
    if let taps, let tapped = spec.tappedLayer {
      for (tap, map) in zip(taps, traces[tapped].y) { tap.copy(map) }
    }
    let rows = blocks.reduce(0) { $0 + $1.rows }
    work.rows += rows
    work.forwardFlops += rows * spec.forwardFlops
    return Pass(traces: traces, place: place, rows: rows)
  }

  /// Takes the gradients of the outputs back through the layers; it ends the process where the pass is not this module's, or
  /// the module not in training.
  public func backward(
    _ pass: any ModulePass, gradients outputs: [FeatureMap], taps: [FeatureMap]?, inputs: [FeatureMap]?
  ) throws {
    guard let pass = pass as? Pass, let gradients, let training = tensors.training else {
      preconditionFailure("the pass of this module, which is in training")
    }
    let nodes = gradients.nodes(blocks: outputs.count)
    let found = LayerGradients(tensors, nodes: nodes)
    let tap = taps.flatMap { taps in spec.tappedLayer.map { (layer: $0, gradients: taps) } }
    try LayerList.backward(layers, pass.traces, dy: outputs, into: inputs, pass.place, found, tap: tap)
    try gradients.finish(nodes)
    found.finish(into: training.gradients)
    work.backwardFlops +=
      pass.rows * (spec.backwardFlops + (inputs == nil ? 0 : spec.inputGradientFlops))
  }
}
