internal import Dist
internal import KernelInterface
internal import Networks
internal import Numerics

extension MixtureLayer {
  // MARK: Selection

  /// The selection of a pass. Evaluation drops no row, whatever the selection is.
  private func selection(at point: StepPoint) -> any Selection {
    point.isTraining ? rule.selection : rule.selection.dropless
  }

  /// Scores the experts, and takes the mixture's from them. Collective where the selection sees the whole batch.
  ///
  /// - Parameter written: the messages of the whole batch, where the gate is on this rank alone.
  func choose(_ rows: ShardRows, _ batch: BatchBlocks, _ written: FeatureMap?, at point: StepPoint) throws
    -> RoutingChoice
  {
    let selection = selection(at: point)
    let clean = workspace.map(features: expertCount, rows: rows.message.rows)
    var choice = try clock.measure(part: .plan) {
      rule.scorer.score(rows, into: clean)
      let used = noisy(clean, rows: batch.shard(of: communicator.rank), at: point)
      return RoutingChoice(scores: RoutingScores(clean: clean, used: used))
    }
    if rootHasScores { try tell(written, to: &choice, batch, at: point) }
    guard selection.scope == .batch else {
      choice.table = try clock.measure(part: .plan) { selection.table(of: choice.scores.used) }
      return choice
    }
    try gatherScores(&choice, batch, at: point)
    choice.table = try scatter(selection, choice, batch)
    return choice
  }

  /// Scores with the selection's noise; the same map where there is none.
  private func noisy(_ clean: FeatureMap, rows: Range<Int>, at point: StepPoint) -> FeatureMap {
    guard point.isTraining, let noise = rule.selection.noise else { return clean }
    let used = workspace.map(features: clean.features, rows: clean.rows)
    noise.add(to: clean, rows: rows, at: point, into: used)
    return used
  }

  /// Rank 0 makes the noise of all rows itself, because draws are counted.
  private func tell(
    _ clean: FeatureMap?, to choice: inout RoutingChoice, _ batch: BatchBlocks, at point: StepPoint
  ) throws {
    choice.rootKnows = true
    choice.wholeClean = clean
    choice.whole = try clock.measure(part: .plan) {
      clean.map { noisy($0, rows: 0..<batch.rows, at: point) }
    }
  }

  /// Tells rank 0 the scores, unless it knows them. Collective.
  private func gatherScores(_ choice: inout RoutingChoice, _ batch: BatchBlocks, at point: StepPoint) throws {
    guard !choice.rootKnows else { return }
    let whole = channel.wholeMap(features: expertCount, batch, in: workspace)
    _ = try clock.measure(part: .combine) {
      try channel.gather(choice.scores.clean, into: whole, batch, word: 0)
    }
    try tell(whole, to: &choice, batch, at: point)
  }

  /// Selects on rank 0, and hands every shard its rows of the table. Collective.
  private func scatter(_ selection: any Selection, _ choice: RoutingChoice, _ batch: BatchBlocks) throws
    -> SlotTable
  {
    let slots = selection.slots(experts: expertCount)
    let whole = channel.wholeMap(features: slots, batch, in: workspace)
    try clock.measure(part: .plan) {
      guard let whole, let scores = choice.whole, let table = selection.table(of: scores) else { return }
      for slot in 0..<slots {
        for row in 0..<batch.rows { whole[slot][row] = Float(table[row, slot]) }
      }
    }
    let part = workspace.map(features: slots, rows: choice.scores.used.rows)
    try clock.meet()
    _ = try clock.measure(part: .combine) { try channel.scatter(whole, into: part, batch, word: 0) }
    var table = SlotTable(slots: slots, rows: part.rows)
    for slot in 0..<slots {
      for row in 0..<part.rows { table[row, slot] = Int(part[slot][row]) }
    }
    return table
  }

  // MARK: Losses

  /// Losses of the gate's choice, and their gradients of the scores: those of single rows on the shards, those of the whole
  /// batch on rank 0, or delivered to the shards where the scores were made there. Collective.
  ///
  /// - Parameter blocks: the whole batch on rank 0, where a loss needs it.
  func addLosses(_ losses: RoutingLosses, _ blocks: [RowBlock], at point: StepPoint, to pass: inout LayerPass)
    throws
  {
    let rowSums = losses.haveRowScope ? try addRowLosses(losses, to: &pass) : []
    let batchValues = losses.haveBatchScope ? try addBatchLosses(losses, blocks, at: point, to: &pass) : []
    if communicator.rank == 0 { pass.losses = losses.values(rowSums: rowSums, batchValues: batchValues) }
  }

  private func addRowLosses(_ losses: RoutingLosses, to pass: inout LayerPass) throws -> [Double] {
    let batch = pass.batch
    let shard = batch.shard(of: communicator.rank)
    let blocks = batch.blocks(of: communicator.rank).map { block in
      let rows = batch[block]
      return rows.lowerBound - shard.lowerBound..<rows.upperBound - shard.lowerBound
    }
    let scores = pass.choice.scores
    let chosen = rule.selection.dropless
    let gradient = workspace.map(features: expertCount, rows: shard.count)
    let perBlock = try clock.measure(part: .loss) {
      losses.ofRows(
        scores, blocks: blocks, batchRows: batch.rows, select: { chosen.table(of: scores.used) },
        into: gradient)
    }
    pass.shardGradients.append(gradient)
    return try clock.measure(part: .combine) {
      try communicator.reduceBlocks(perBlock, count: batch.count, length: losses.rowSums)
    }
  }

  /// - Returns: on rank 0 what the losses said.
  private func addBatchLosses(
    _ losses: RoutingLosses, _ blocks: [RowBlock], at point: StepPoint, to pass: inout LayerPass
  ) throws -> [LossValue] {
    let batch = pass.batch
    try gatherScores(&pass.choice, batch, at: point)
    let chosen = rule.selection.dropless
    let gradient = channel.wholeMap(features: expertCount, batch, in: workspace)
    let values = try clock.measure(part: .loss) { () -> [LossValue] in
      guard let scores = pass.choice.wholeScores, let gradient else { return [] }
      return losses.ofBatch(
        scores, inputs: losses.needRows ? blocks : [], select: { chosen.table(of: scores.used) },
        into: gradient)
    }
    if rootHasScores {
      pass.rootGradient = gradient
    } else {
      let part = workspace.map(features: expertCount, rows: pass.scores.rows)
      try clock.meet()
      _ = try clock.measure(part: .combine) { try channel.scatter(gradient, into: part, batch, word: 0) }
      pass.shardGradients.append(part)
    }
    return values
  }
}
