internal import CLanes

/// Whether BatchNorm uses the batch's own statistics (and updates the running ones) or the running ones.
package enum NetworkMode { case training, evaluation }

/// One network: its parameters and its forward and backward passes over batches cut in blocks.
///
/// An expert sees its rows as one block. The gate sees the batch as blocks of a fixed number of rows, so that its bits do
/// not depend on which rank works on which block. What is summed over blocks goes along the tree of ``TreeSum``.
package final class Network {
  package let spec: NetworkSpec
  package let parameters: Parameters
  /// FLOPs done so far, counted where the kernels are called.
  package internal(set) var work = NetworkWork()
  /// Whether the last hidden layer's values before ReLU are kept, see ``Pass/hidden``.
  private let tapsHidden: Bool
  private let sums: any BlockSums
  /// Nil where the network is not trained.
  private let gradients: BlockGradients?
  private let convolutions: Convolutions
  private let layers: [DenseLayer]

  /// - Parameters:
  ///   - training: false for a network that is only evaluated or frozen: it has no gradients and no moments.
  ///   - blocks: the most blocks of a batch that are worked on here in training.
  ///   - sums: how sums over blocks become those of the whole batch.
  package init(
    _ spec: NetworkSpec, prefix: String, training: Bool, tapsHidden: Bool = false, blocks: Int = 1,
    sums: any BlockSums = WholeBatch()
  ) {
    precondition(!tapsHidden || !spec.hidden.isEmpty, "a tapped network has a hidden layer")
    self.spec = spec
    self.tapsHidden = tapsHidden
    let parameters = Parameters(spec.tensors(prefix: prefix), training: training)
    self.parameters = parameters
    self.sums = sums
    gradients = training ? BlockGradients(parameters, blocks: blocks, sums: sums) : nil
    convolutions =
      spec.hasStem
      ? .stem(ConvolutionStem(spec, prefix: prefix, parameters: parameters))
      : .stack(ConvolutionStack(spec, prefix: prefix, parameters: parameters, sums: sums))
    layers = zip(spec.denseNames, spec.dense).map { name, size in
      DenseLayer(
        inputs: size.inputs, outputs: size.outputs,
        weight: parameters.offset(of: "\(prefix).\(name).weight"),
        bias: parameters.offset(of: "\(prefix).\(name).bias"))
    }
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
    let convolutions: ConvolutionPass
    /// The convolutions' output, then every dense layer's, rectified except the last.
    let activations: [FeatureMap]
    /// The last hidden layer's values before ReLU, h of the attentive gate's keys; nil unless the network is tapped.
    package let hidden: FeatureMap?
    /// The last layer's output: logits.
    package var output: FeatureMap { activations[activations.count - 1] }
  }

  /// Runs the network over all blocks; the passes live in the workspace.
  package func forward(_ blocks: [Tiles], mode: NetworkMode, in workspace: Workspace) throws -> [Pass] {
    switch convolutions {
    case .stem(let stem):
      try stem.prepare(blocks, mode: mode, sums)
      return blocks.map { forward($0, stem, in: workspace) }
    case .stack(let stack):
      let maps = blocks.map { convolvedMap(rows: $0.rows, in: workspace) }
      let passes = try stack.forward(blocks, into: maps, mode: mode, in: workspace)
      return blocks.indices.map {
        denseForward(blocks[$0], maps[$0], .stack(passes[$0]), in: workspace)
      }
    }
  }

  /// Uses the running statistics for the calls of ``forwardBlock(_:in:)`` that follow.
  package func prepareEvaluation() throws {
    if case .stem(let stem) = convolutions { try stem.prepare([], mode: .evaluation, sums) }
  }

  /// Runs the network over one block by itself, in evaluation.
  package func forwardBlock(_ tiles: Tiles, in workspace: Workspace) throws -> Pass {
    switch convolutions {
    case .stem(let stem): return forward(tiles, stem, in: workspace)
    case .stack: return try forward([tiles], mode: .evaluation, in: workspace)[0]
    }
  }

  private func forward(_ tiles: Tiles, _ stem: ConvolutionStem, in workspace: Workspace) -> Pass {
    let map = convolvedMap(rows: tiles.rows, in: workspace)
    let which = workspace.bytes(map.features * map.columns)
    stem.forward(tiles, into: map, which: which)
    return denseForward(tiles, map, .stem(which: which), in: workspace)
  }

  private func convolvedMap(rows: Int, in workspace: Workspace) -> FeatureMap {
    workspace.map(features: spec.convolvedFeatures, rows: rows)
  }

  private func denseForward(
    _ tiles: Tiles, _ map: FeatureMap, _ convolved: ConvolutionPass, in workspace: Workspace
  ) -> Pass {
    var activations = [map]
    var hidden: FeatureMap?
    for (index, layer) in layers.enumerated() {
      let output = workspace.map(features: layer.outputs, rows: tiles.rows)
      let taps = tapsHidden && index == layers.count - 2
      layer.forward(
        activations[index], into: output, values: parameters.values,
        rectify: index < layers.count - 1 && !taps, in: workspace)
      if taps {
        let tap = workspace.map(features: layer.outputs, rows: tiles.rows)
        tap.base.update(from: output.base, count: output.features * output.stride)
        hidden = tap
        rectify(output)
      }
      activations.append(output)
    }
    work.rows += tiles.rows
    work.forwardFlops += tiles.rows * spec.forwardFlops
    return Pass(tiles: tiles, convolutions: convolved, activations: activations, hidden: hidden)
  }

  /// Computes the gradient of every parameter over the whole batch, from the gradients of the blocks' outputs.
  ///
  /// - Parameters:
  ///   - gradients: one map per pass, zero behind the last row; used up by the call.
  ///   - hidden: per pass, what the values of ``Pass/hidden`` get beside what comes through the output layer.
  package func backward(
    _ passes: [Pass], gradients outputs: [FeatureMap], hidden: [FeatureMap]? = nil, in workspace: Workspace
  ) throws {
    guard let training = parameters.training, let gradients else {
      preconditionFailure("only a network in training has gradients")
    }
    switch convolutions {
    case .stem(let stem):
      var perBlock: [[Double]] = []
      for (index, pass) in passes.enumerated() {
        let mark = workspace.mark
        let target = gradients.next()
        let gradient = denseBackward(
          pass, outputs[index], hidden: hidden?[index], into: target, in: workspace)
        guard case .stem(let which) = pass.convolutions else { continue }
        perBlock.append(
          stem.backward(pass.tiles, activation: pass.activations[0], gradient: gradient, which: which))
        gradients.push(target, block: index, of: passes.count)
        workspace.release(to: mark)
      }
      try gradients.finish(blocks: passes.count)
      stem.writeGradients(
        try sums.combine(perBlock, length: stem.sumCount), into: training.gradients)
    case .stack(let stack):
      let mark = workspace.mark
      let targets = passes.map { _ in gradients.next() }
      let convolved = passes.indices.map {
        denseBackward(passes[$0], outputs[$0], hidden: hidden?[$0], into: targets[$0], in: workspace)
      }
      try stack.backward(
        passes.compactMap { pass in
          if case .stack(let stages) = pass.convolutions { stages } else { nil }
        }, gradients: convolved, into: targets, in: workspace)
      for (index, target) in targets.enumerated() {
        gradients.push(target, block: index, of: passes.count)
      }
      workspace.release(to: mark)
      try gradients.finish(blocks: passes.count)
      stack.writeNormGradients(into: training.gradients)
    }
  }

  /// The gradients of a network that had no row: zero.
  package func clearGradients() {
    parameters.training?.gradients.update(repeating: 0, count: parameters.trainedCount)
  }

  /// The dense layers' gradients of a block.
  ///
  /// - Returns: the gradient of the convolutions' output, not yet that before its ReLU.
  private func denseBackward(
    _ pass: Pass, _ outputGradient: FeatureMap, hidden: FeatureMap?, into gradients: Floats,
    in workspace: Workspace
  ) -> FeatureMap {
    var gradient = outputGradient
    for index in layers.indices.reversed() {
      let input = pass.activations[index]
      layers[index].parameterGradients(gradient, input: input, into: gradients, in: workspace)
      let inputGradient = workspace.map(features: input.features, rows: input.rows)
      layers[index].inputGradient(
        gradient, rectifiedBy: index > 0 ? input : nil, values: parameters.values, into: inputGradient,
        in: workspace)
      if index == layers.count - 1, let hidden { add(hidden, to: inputGradient) }
      gradient = inputGradient
    }
    work.backwardFlops += pass.tiles.rows * spec.backwardFlops
    return gradient
  }
}

/// What a network has computed, counted where its kernels are called.
package struct NetworkWork: Equatable {
  package var rows = 0
  package var forwardFlops = 0
  package var backwardFlops = 0
}
