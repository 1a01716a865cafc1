internal import Dist
public import KernelInterface
internal import Networks
internal import Numerics

/// What a layer keeps of a forward pass through a readout. Valid until the layer's next one.
public struct MixturePass {
  /// What the readout made, block by block of this rank's shard, [features][rows], zero behind the last row.
  public let outputs: [FeatureMap]
  /// Values of a row that came in.
  let features: Int
  let layer: LayerPass

  /// [experts][rows of the shard], those that select and weigh.
  public var scores: FeatureMap { layer.scores }
  /// The experts of the slots; nil where slot = expert.
  public var table: SlotTable? { layer.table }
  /// What the losses of the gate's choice came to, over the whole batch: in training, on rank 0; empty elsewhere.
  public var losses: [NamedValue] { layer.losses }
}

extension MixtureLayer {
  /// Sends the rows of this rank's shard to their experts, and gives the answers to a readout. Collective.
  ///
  /// - Parameters:
  ///   - blocks: of this rank's shard, [features][rows] each: what a module gave, or data. A rank without a block gives none.
  ///   - features: values of a row, which a rank without a block cannot see.
  ///   - batch: how the batch is cut, see ``batch(rows:)``.
  ///   - point: whether the layer learns, and what draws are counted by.
  ///   - signal: [values][rows of the shard], what a scorer gets to know of a row beside message and answers; nil: nothing.
  public func forward(
    _ blocks: [FeatureMap], features: Int, _ batch: BatchBlocks, through readout: some Readout,
    at point: StepPoint, signal: FeatureMap? = nil
  ) throws -> MixturePass {
    let numbers = batch.blocks(of: communicator.rank)
    let count = batch.shard(of: communicator.rank).count
    precondition(
      blocks.map(\.rows) == numbers.map { batch[$0].count } && blocks.allSatisfy { $0.features == features },
      "a rank gives the blocks of its shard, of \(features) features")
    rowMemory.reset()
    let rows = HiddenRows(blocks, first: numbers.lowerBound, features: features, in: rowMemory)
    let pass = try forward(
      rows, batch, at: point, signal: signal ?? rowMemory.map(features: 0, rows: count), word: 0)
    let wide = workspace.map(features: readout.features(rule.layout), rows: count)
    readout.forward(slots(pass), into: wide, in: workspace)
    let outputs = workspace.maps(features: wide.features, rows: blocks.map(\.rows))
    wide.split(into: outputs)
    return MixturePass(outputs: outputs, features: features, layer: pass)
  }

  /// Computes the gradients of gate and experts, and of the rows where they are wanted. Collective.
  ///
  /// The gradients of the outputs are those of the mean over the global batch. Losses of the gate's choice add theirs here.
  /// - Parameters:
  ///   - pass: of the last forward pass, in training.
  ///   - gradients: of ``MixturePass/outputs``, block by block.
  ///   - readout: that of the forward pass.
  ///   - rows: block by block, [features][rows], to be written, zero behind the last row; nil: rows have no gradient.
  public func backward(
    _ pass: MixturePass, gradients: [FeatureMap], through readout: some Readout, into rows: [FeatureMap]?
  ) throws {
    var mixed = pass.layer
    precondition(mixed.isTraining, "a pass in training has gradients")
    let count = mixed.scores.rows
    let wide = workspace.map(features: readout.features(rule.layout), rows: count)
    wide.join(gradients)
    let parcel = parcel(mixed, riders: 0)
    let ofSlots = self.gradients(mixed, detached: false)
    readout.backward(slots(mixed), outputs: wide, into: ofSlots, in: workspace)
    // A scorer with a loss of its own adds it here; nobody is told.
    let own = workspace.floats(wide.columns)
    own.update(repeating: 0, count: wide.columns)
    finish(ofSlots, mixed, parcel, temperature: temperature, rowLosses: own)
    let collected = try collect(parcel, &mixed, word: 0)
    let ofRows = rows.map { _ in workspace.map(features: pass.features, rows: count) }
    try backward(mixed, slots: ofSlots.answers, collected, rows: ofRows)
    if let rows { ofRows?.split(into: rows) }
  }

  private func slots(_ pass: LayerPass) -> SlotView {
    SlotView(scores: pass.scores, answers: pass.shard.answers, layout: rule.layout, table: pass.table)
  }
}
