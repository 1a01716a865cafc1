package import KernelInterface
package import Numerics

/// One network: its parameters and its forward and backward passes over batches cut in blocks.
///
/// An expert sees its rows as one block. The gate sees the batch as blocks of a fixed number of rows, so that its bits do
/// not depend on which rank works on which block. What is summed over blocks goes along a tree, see ``BlockSums``.
package final class Network {
  package let spec: NetworkSpec
  package let parameters: Parameters
  /// FLOPs done so far, counted where the kernels are called.
  package var work = ModuleWork()
  /// Whether the last hidden layer's values before ReLU are kept, see ``Pass/hidden``.
  private let tapsHidden: Bool
  private let sums: any BlockSums
  /// Nil where the network is not trained.
  private let gradients: BlockGradients?
  private let team: ThreadTeam
  private let products: DenseProducts
  private let convolutions: Convolutions
  private let layers: [DenseLayer]

  /// - Parameters:
  ///   - training: false for a network that is only evaluated or frozen: it has no gradients and no moments.
  ///   - sums: how sums over blocks become those of the whole batch.
  ///   - team: works on the blocks.
  ///   - products: what computes the dense layers.
  package init(
    _ spec: NetworkSpec, prefix: String, training: Bool, tapsHidden: Bool = false,
    sums: any BlockSums = WholeBatch(), team: ThreadTeam = .alone(), products: DenseProducts = .own
  ) {
    precondition(!tapsHidden || !spec.hidden.isEmpty, "a tapped network has a hidden layer")
    self.spec = spec
    self.tapsHidden = tapsHidden
    let parameters = Parameters(spec.tensors(prefix: prefix), training: training)
    self.parameters = parameters
    self.sums = sums
    self.team = team
    self.products = products
    convolutions =
      spec.hasStem
      ? .stem(ConvolutionStem(spec, prefix: prefix, parameters: parameters, team: team))
      : .stack(ConvolutionStack(spec, prefix: prefix, parameters: parameters, sums: sums, team: team))
    layers = zip(spec.denseNames, spec.dense).map { name, size in
      DenseLayer(
        inputs: size.inputs, outputs: size.outputs,
        weight: parameters.offset(of: "\(prefix).\(name).weight"),
        bias: parameters.offset(of: "\(prefix).\(name).bias"), products: products)
    }
    // A stack writes the gradients of its convolutions, whose tensors come first, block by block.
    gradients =
      training
      ? BlockGradients(parameters, blockFloats: spec.hasStem ? 0 : layers[0].weight, sums: sums) : nil
  }

  private enum Convolutions {
    case stem(ConvolutionStem)
    case stack(ConvolutionStack)
  }

  /// What the convolutions keep of a block's forward pass.
  enum ConvolutionPass {
    case stem(which: UnsafeMutablePointer<UInt8>)
    case stack(ConvolutionStack.Pass)
  }

  /// What a block's backward pass needs of its forward pass.
  package struct Pass {
    let tiles: Tiles
    /// The block's own memory.
    let workspace: Workspace
    let convolutions: ConvolutionPass
    /// The convolutions' output, then every dense layer's, rectified except the last.
    let activations: [FeatureMap]
    /// The last hidden layer's values before ReLU, h of the attentive gate's keys; nil unless the network is tapped.
    package let hidden: FeatureMap?
    /// The last layer's output: logits.
    package var output: FeatureMap { activations[activations.count - 1] }
  }

  /// Runs the network over all blocks, each in memory of its own.
  ///
  /// - Parameters:
  ///   - outputs, taps: per block, where the last layer's output and the tapped values go; nil: to the block's memory.
  package func forward(
    _ blocks: [Tiles], into outputs: [FeatureMap]? = nil, taps: [FeatureMap]? = nil, mode: NetworkMode,
    in pieces: [Workspace]
  ) throws -> [Pass] {
    if case .stem(let stem) = convolutions {
      try stem.prepare(mode == .training ? blocks : [], mode: mode, sums)
    }
    func targets(_ block: Int) -> (output: FeatureMap?, tap: FeatureMap?) { (outputs?[block], taps?[block]) }
    let maps = zip(blocks, pieces).map { convolvedMap(rows: $0.rows, in: $1) }
    var passes = [Pass?](repeating: nil, count: blocks.count)
    switch convolutions {
    case .stem(let stem):
      team.fill(&passes) { block in
        let which = pieces[block].bytes(maps[block].features * maps[block].columns)
        stem.forward(blocks[block], into: maps[block], which: which)
        return denseForward(
          blocks[block], maps[block], .stem(which: which), into: targets(block), in: pieces[block])
      }
    case .stack(let stack):
      let stages = try stack.forward(blocks, into: maps, mode: mode, in: pieces)
      team.fill(&passes) { block in
        denseForward(
          blocks[block], maps[block], .stack(stages[block]), into: targets(block), in: pieces[block])
      }
    }
    let rows = blocks.reduce(0) { $0 + $1.rows }
    work.rows += rows
    work.forwardFlops += rows * spec.forwardFlops
    return passes.compactMap { $0 }
  }

  private func convolvedMap(rows: Int, in workspace: Workspace) -> FeatureMap {
    workspace.map(features: spec.convolvedFeatures, rows: rows)
  }

  private func denseForward(
    _ tiles: Tiles, _ map: FeatureMap, _ convolved: ConvolutionPass,
    into target: (output: FeatureMap?, tap: FeatureMap?), in workspace: Workspace
  ) -> Pass {
    var activations = [map]
    var hidden: FeatureMap?
    for (index, layer) in layers.enumerated() {
      let isLast = index == layers.count - 1
      let output =
        (isLast ? target.output : nil) ?? workspace.map(features: layer.outputs, rows: tiles.rows)
      let taps = tapsHidden && index == layers.count - 2
      layer.forward(
        activations[index], into: output, values: parameters.values,
        rectify: !isLast && !taps, in: workspace)
      if taps {
        let tap = target.tap ?? workspace.map(features: layer.outputs, rows: tiles.rows)
        tap.copy(output)
        hidden = tap
        kernels.rectify(output)
      }
      activations.append(output)
    }
    return Pass(
      tiles: tiles, workspace: workspace, convolutions: convolved, activations: activations, hidden: hidden)
  }

  /// Computes the gradient of every parameter over the whole batch, from the gradients of the blocks' outputs.
  ///
  /// - Parameters:
  ///   - gradients: one map per pass, zero behind the last row; used up by the call.
  ///   - hidden: per pass, what the values of ``Pass/hidden`` get beside what comes through the output layer.
  package func backward(
    _ passes: [Pass], gradients outputs: [FeatureMap], hidden: [FeatureMap]? = nil
  ) throws {
    guard let training = parameters.training, let gradients else {
      preconditionFailure("only a network in training has gradients")
    }
    let nodes = gradients.nodes(blocks: passes.count)
    var found = [BlockBackward?](repeating: nil, count: passes.count)
    let isSingle = passes.count == 1
    team.fill(&found) { index in
      let pass = passes[index]
      var block = denseBackward(pass, outputs[index], hidden: hidden?[index])
      // A single block's maps are still in the cache, where the stem's images would take their place.
      if isSingle { sumDense(passes, [block], nodes) }
      if case .stem(let stem) = convolutions, case .stem(let which) = pass.convolutions {
        block.stemSums = stem.backward(
          pass.tiles, activation: pass.activations[0], gradient: block.gradients[0], which: which)
      }
      return block
    }
    let blocks = found.compactMap { $0 }
    if !isSingle { sumDense(passes, blocks, nodes) }
    switch convolutions {
    case .stem(let stem):
      try gradients.finish(nodes)
      stem.writeGradients(
        try sums.combine(blocks.map(\.stemSums), length: stem.sumCount), into: training.gradients)
    case .stack(let stack):
      let targets = gradients.blockTargets(nodes)
      try stack.backward(
        passes.compactMap { pass in
          if case .stack(let stages) = pass.convolutions { stages } else { nil }
        }, gradients: blocks.map { $0.gradients[0] }, into: targets, in: passes.map(\.workspace))
      gradients.addBlocks(nodes, targets)
      try gradients.finish(nodes)
      stack.writeNormGradients(into: training.gradients)
    }
    work.backwardFlops += passes.reduce(0) { $0 + $1.tiles.rows } * spec.backwardFlops
  }

  /// What a block's backward pass through the dense layers gives.
  private struct BlockBackward {
    /// The gradients of ``Pass/activations``: before the ReLU, but for the convolutions' output.
    var gradients: [FeatureMap]
    /// Of every layer.
    var biases: [Floats] = []
    /// Of a stem.
    var stemSums: [Double] = []
  }

  private func denseBackward(
    _ pass: Pass, _ outputGradient: FeatureMap, hidden: FeatureMap?
  ) -> BlockBackward {
    let workspace = pass.workspace
    var gradient = outputGradient
    var result = BlockBackward(gradients: [outputGradient])
    for (index, layer) in layers.enumerated().reversed() {
      let bias = workspace.floats(layer.outputs)
      kernels.biasGradient(gradient, into: bias)
      result.biases.insert(bias, at: 0)
      let input = pass.activations[index]
      let inputGradient = workspace.map(features: input.features, rows: input.rows)
      layer.inputGradient(
        gradient, rectifiedBy: index > 0 ? input : nil, values: parameters.values, into: inputGradient,
        in: workspace)
      if index == layers.count - 1, let hidden { kernels.add(hidden, to: inputGradient) }
      gradient = inputGradient
      result.gradients.insert(gradient, at: 0)
    }
    return result
  }

  /// The gradients of the dense layers' tensors over every node; threads take their shares of each layer's columns.
  private func sumDense(
    _ passes: [Pass], _ blocks: [BlockBackward], _ nodes: [NodeSum]
  ) {
    let shares = min(team.threads, passes.count)
    team.run(shares) { share in
      for sum in nodes {
        for (index, layer) in layers.enumerated() {
          products.weightGradient(
            sum.node.here.map {
              .init(gradient: blocks[$0].gradients[index + 1], input: passes[$0].activations[index])
            }, additions: sum.node.additions, share: (share, of: shares), into: sum.sum + layer.weight,
            in: passes[share].workspace)
        }
      }
    }
    for sum in nodes {
      for (index, layer) in layers.enumerated() {
        let biases = blocks.map { $0.biases[index] }
        sum.add(biases, count: layer.outputs)
        (sum.sum + layer.bias).update(from: biases[sum.node.here.lowerBound], count: layer.outputs)
      }
    }
  }
}
