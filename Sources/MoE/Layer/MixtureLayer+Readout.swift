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
  package var layer: LayerPass

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
  ///   - readout: makes the outputs.
  ///   - point: whether the layer learns, and what draws are counted by.
  ///   - signal: [values][rows of the shard], what a scorer gets to know of a row beside message and answers; nil: nothing.
  /// - Throws: what ranks, gate or experts throw.
  public func forward(
    _ blocks: [FeatureMap], features: Int, _ batch: BatchBlocks, through readout: some Readout,
    at point: StepPoint, signal: FeatureMap? = nil
  ) throws -> MixturePass {
    try forward(blocks, features: features, batch, through: readout, at: point, signal: signal, word: 0)
  }

  /// The same with rank 0's word to all ranks.
  package func forward(
    _ blocks: [FeatureMap], features: Int, _ batch: BatchBlocks, through readout: some Readout,
    at point: StepPoint, signal: FeatureMap?, word: Float
  ) throws -> MixturePass {
    let numbers = batch.blocks(of: communicator.rank)
    let count = batch.shard(of: communicator.rank).count
    precondition(
      blocks.map(\.rows) == numbers.map { batch[$0].count } && blocks.allSatisfy { $0.features == features },
      "a rank gives the blocks of its shard, of \(features) features")
    rowMemory.reset()
    let rows = HiddenRows(blocks, first: numbers.lowerBound, features: features, in: rowMemory)
    let pass = try forward(
      rows, batch, at: point, signal: signal ?? rowMemory.map(features: 0, rows: count), word: word)
    let wide = workspace.map(features: readout.features(rule.layout), rows: count)
    let outputs = workspace.maps(features: wide.features, rows: blocks.map(\.rows))
    try clock.measure(part: .combine) {
      readout.forward(slots(pass), into: wide, in: workspace)
      wide.split(into: outputs)
    }
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
  /// - Throws: what ranks, gate or experts throw.
  public func backward(
    _ pass: MixturePass, gradients: [FeatureMap], through readout: some Readout, into rows: [FeatureMap]?
  ) throws {
    var pass = pass
    let parcel = parcel(pass.layer, riders: 0)
    _ = try backward(&pass, gradients: gradients, through: readout, into: rows, handing: parcel, word: 0)
  }

  /// The same with what the caller wants on rank 0, and this rank's word to it.
  ///
  /// - Parameters:
  ///   - parcel: of the pass.
  ///   - rowLosses: [rows], to which a scorer with a loss of its own adds it; nil: nobody is told.
  package func backward(
    _ pass: inout MixturePass, gradients: [FeatureMap], through readout: some Readout,
    into rows: [FeatureMap]?, handing parcel: LayerParcel, rowLosses: Floats? = nil, word: Float
  ) throws -> CollectedParcels {
    let mixed = pass.layer
    precondition(mixed.isTraining, "a pass in training has gradients")
    let count = mixed.scores.rows
    let wide = workspace.map(features: readout.features(rule.layout), rows: count)
    let ofSlots = self.gradients(mixed, detached: false)
    let own = workspace.floats(wide.columns)
    own.update(repeating: 0, count: wide.columns)
    try clock.measure(part: .loss) {
      wide.join(gradients)
      readout.backward(slots(mixed), outputs: wide, into: ofSlots, in: workspace)
      finish(ofSlots, mixed, parcel, temperature: temperature, rowLosses: rowLosses ?? own)
    }
    let collected = try collect(parcel, &pass.layer, word: word)
    let ofRows = rows.map { _ in workspace.map(features: pass.features, rows: count) }
    try backward(pass.layer, slots: ofSlots.answers, collected, rows: ofRows)
    if let rows { ofRows?.split(into: rows) }
    return collected
  }

  private func slots(_ pass: LayerPass) -> SlotView {
    SlotView(scores: pass.scores, answers: pass.shard.answers, layout: rule.layout, table: pass.table)
  }
}
