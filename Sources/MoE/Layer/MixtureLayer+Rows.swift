internal import Dist
internal import KernelInterface
internal import Networks
internal import Numerics

extension MixtureLayer {
  /// Whether rank 0 has to see every row, the same on every rank.
  func needsRowsOnRoot(_ point: StepPoint) -> Bool {
    (rule.scorer.messageFeatures > 0 && !place.isReplicated)
      || (point.isTraining && losses?.needRows == true)
  }

  /// Brings rows that only their shards have to rank 0. Collective.
  ///
  /// - Parameters:
  ///   - shard: the blocks of this rank's shard.
  ///   - wanted: which blocks this rank wants.
  func bringToRoot(
    _ shard: [RowBlock], _ wanted: Range<Int>, features: Int, _ batch: BatchBlocks
  ) throws -> [RowBlock] {
    let part = workspace.map(features: features, rows: batch.shard(of: communicator.rank).count)
    part.join(shard.map { $0.features(in: workspace) })
    let whole = channel.wholeMap(features: features, batch, in: workspace)
    _ = try clock.measure(part: .input) { try channel.gather(part, into: whole, batch, word: 0) }
    guard let whole else { return wanted == batch.blocks(of: communicator.rank) ? shard : [] }
    // Whoever has rank 0 see rows has it see all.
    let blocks = workspace.maps(features: features, rows: (0..<batch.count).map { batch[$0].count })
    whole.split(into: blocks)
    return blocks.map { .features($0) }
  }

  /// Memory for the gradient that the gate gives rows: of its blocks, where it works here.
  func gateRowGradient(_ rows: FeatureMap, _ batch: BatchBlocks) -> FeatureMap? {
    place.isReplicated
      ? workspace.map(features: rows.features, rows: rows.rows)
      : channel.wholeMap(features: rows.features, batch, in: workspace)
  }

  /// Adds the gradient that the gate gave rows to what came through the experts. Collective where the gate is on rank 0.
  func addGateRowGradient(_ ofGate: FeatureMap?, to rows: FeatureMap, _ batch: BatchBlocks) throws {
    var part = ofGate
    if !place.isReplicated {
      let arrived = workspace.map(features: rows.features, rows: rows.rows)
      _ = try clock.measure(part: .gateBackward) {
        try channel.scatter(ofGate, into: arrived, batch, word: 0)
      }
      part = arrived
    }
    if let part { kernels.add(part, to: rows) }
    rows.clearPadding()
  }
}
