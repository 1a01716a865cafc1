internal import DataSets
internal import Dist
internal import KernelInterface
internal import MoE
internal import Numerics
internal import Records

extension Step {
  /// A batch as a rank sees it.
  struct Batch {
    let blocks: BatchBlocks
    /// Of the shard's rows.
    let labels: [UInt8]
  }

  // MARK: Rows to experts

  struct Routed {
    let plan: RoutingPlan
    let arrival: Exchange.Arrival
    let rows: UnsafeRawPointer
  }

  func route(_ plan: RoutingPlan, _ samples: ArraySlice<Int32>, of images: ImageView) throws -> Routed {
    try clock.meet()
    let arrival = try clock.measure(.plan) { try exchange.announce(plan) }
    let pixels = images.pixels
    func sample(_ row: Int) -> Int32 { samples[samples.startIndex + row] }
    let rows = try clock.measure(.dispatch) {
      try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: pixels) { scratch in
        guard let scratch = scratch.baseAddress else { preconditionFailure("an image has pixels") }
        switch payload {
        case .uint8:
          return try exchange.dispatch(plan, to: arrival, rowBytes: pixels) { row, target in
            target.copyMemory(from: images.row(sample(row), scratch: scratch), byteCount: pixels)
          }
        case .float32:
          return try exchange.dispatch(plan, to: arrival, rowBytes: pixels * 4) { row, target in
            normalisation.writeRow(
              images.row(sample(row), scratch: scratch), into: target.assumingMemoryBound(to: Float.self))
          }
        case .index:
          return try exchange.dispatch(plan, to: arrival, rowBytes: 4) { row, target in
            target.storeBytes(of: sample(row), as: Int32.self)
          }
        }
      }
    }
    return Routed(plan: plan, arrival: arrival, rows: rows)
  }

  // MARK: Rank 0 and the shards

  /// A map of the whole batch on rank 0.
  func rootMap(_ features: Int, _ blocks: BatchBlocks) -> FeatureMap? {
    communicator.rank == 0 ? workspace.map(features: features, rows: blocks.rows) : nil
  }

  /// The images of some blocks as the gate's network reads them; parts of what the experts read, where they have all rows.
  func gateTiles(
    _ numbers: Range<Int>, _ samples: ArraySlice<Int32>, _ blocks: BatchBlocks, of images: ImageView,
    shared: Tiles?
  ) -> [Tiles] {
    numbers.map { block in
      let rows = blocks[block]
      if let shared, blocks.blockRows % laneCount == 0 {
        return shared.slice(first: rows.lowerBound, rows: rows.count)
      }
      let tiles = Tiles(
        base: workspace.floats(Tiles.floats(pixels: images.pixels, rows: rows.count)), pixels: images.pixels,
        rows: rows.count)
      normalisation.fill(tiles, of: images) { samples[samples.startIndex + rows.lowerBound + $0] }
      return tiles
    }
  }

  /// Brings parts of a map of rank 0 to the shards, and rank 0's word to all.
  func deliver(_ whole: FeatureMap?, into part: FeatureMap, _ batch: Batch, word: Float) throws -> Float {
    try clock.meet()
    return try clock.measure(.combine) { try channel.scatter(whole, into: part, batch.blocks, word: word) }
  }

  /// Brings rank 0's word to all; a replicated gate's messages are where they are wanted.
  func deliverWord(_ batch: Batch, word: Float) throws -> Float {
    try deliver(
      rootMap(0, batch.blocks), into: workspace.map(features: 0, rows: batch.labels.count), batch, word: word)
  }

  /// The scores of all shards on rank 0; nil elsewhere.
  func collect(_ scores: FeatureMap, _ batch: Batch) throws -> FeatureMap? {
    let whole = rootMap(scores.features, batch.blocks)
    _ = try clock.measure(.combine) { try channel.gather(scores, into: whole, batch.blocks, word: 0) }
    return whole
  }

  // MARK: Scores and losses

  /// Scores the experts, and takes the mixture's from them; nil where it takes all.
  func select(_ rows: ShardRows, into scores: FeatureMap) throws -> SlotTable? {
    try clock.measure(.plan) {
      rule.scorer.score(rows, into: scores)
      guard case .top(let k) = rule.selection else { return nil }
      return SlotTable(topOf: scores, slots: k)
    }
  }

  /// The regularisers' gradients of the scores: on rank 0 for the whole batch, or delivered to the shards where the
  /// scores were made there.
  struct Regularised {
    var losses: RegulariserLosses?
    var root: FeatureMap?
    var shard: FeatureMap?
  }

  /// - Parameter tiles: the whole batch on rank 0.
  func regularise(_ scores: FeatureMap?, _ tiles: [Tiles], _ batch: Batch) throws -> Regularised {
    var result = Regularised()
    let experts = parts.placement.experts
    let gradient = rootMap(experts, batch.blocks)
    try clock.measure(.loss) {
      guard let regularisers, let scores, let gradient else { return }
      result.losses = regularisers.gradient(scores, images: tiles, into: gradient)
    }
    if rootHasScores {
      result.root = gradient
    } else {
      let part = workspace.map(features: experts, rows: batch.labels.count)
      _ = try deliver(gradient, into: part, batch, word: 0)
      result.shard = part
    }
    return result
  }

  /// Adds the regularisers' gradients to the scores' and takes them to message and answers.
  func finishLoss(
    _ rows: ShardRows, _ input: ShardMixture, _ results: ShardResults, _ regularised: FeatureMap?
  ) {
    guard let gradients = results.gradients else { return }
    // With two temperatures the experts are detached from the gate's loss, which the regularisers belong to.
    if let regularised, !rule.scorer.scoresAreMessage {
      kernels.add(regularised, to: gradients.gateScores)
    }
    rule.scorer.backward(
      rows,
      ScoreGradients(
        gate: gradients.gateScores, experts: gradients.expertScores,
        temperature: rule.mixture.temperature, batchRows: input.batchRows),
      into: ScorerGradients(
        message: results.messageGradient, answers: gradients.answers,
        losses: results.report[RowReport.loss.rawValue]))
    // A message of scores gets their gradient directly, as on rank 0: its scorer may have a loss of its own.
    if let regularised, rule.scorer.scoresAreMessage {
      kernels.add(regularised, to: results.messageGradient)
    }
  }

  /// What a shard makes of its rows: one map for rank 0, and the gradients that stay.
  ///
  /// The map holds the message's gradient where the gate is on rank 0, the rows' reports, and the scores where rank 0 has
  /// not had them before.
  struct ShardResults {
    let toRoot: FeatureMap
    let report: FeatureMap
    /// Part of ``toRoot``, or here to stay.
    let messageGradient: FeatureMap
    let gradients: MixtureGradients?
    private let messageFeatures: Int

    /// - Parameter scores: those to send.
    init(_ step: Step, _ rows: Int, isTraining: Bool, scores: FeatureMap?) {
      let rule = step.rule
      let reports = RowReport.allCases.count
      let gradientFeatures = isTraining ? rule.scorer.gradientFeatures : 0
      messageFeatures = step.parts.replicas == nil ? gradientFeatures : 0
      toRoot = step.workspace.map(
        features: messageFeatures + reports + (scores?.features ?? 0), rows: rows)
      report = FeatureMap(base: toRoot[messageFeatures], features: reports, rows: rows)
      messageGradient =
        step.parts.replicas == nil
        ? FeatureMap(base: toRoot.base, features: gradientFeatures, rows: rows)
        : step.workspace.map(features: gradientFeatures, rows: rows)
      if let scores {
        toRoot[messageFeatures + reports].update(from: scores.base, count: scores.features * scores.stride)
      }
      guard isTraining else {
        gradients = nil
        return
      }
      let experts = step.parts.placement.experts
      let gate = step.workspace.map(features: experts, rows: rows)
      gradients = MixtureGradients(
        gateScores: gate,
        expertScores: rule.mixture.hasTwoTemperatures
          ? step.workspace.map(features: experts, rows: rows) : gate,
        answers: step.parts.trainsExperts
          ? step.workspace.map(
            features: rule.routing.slots(experts: experts) * rule.mixture.layout.width, rows: rows) : nil)
    }

    func messagePart(of map: FeatureMap) -> FeatureMap {
      FeatureMap(base: map.base, features: messageFeatures, rows: map.rows)
    }

    func reportPart(of map: FeatureMap) -> FeatureMap {
      FeatureMap(base: map[messageFeatures], features: RowReport.allCases.count, rows: map.rows)
    }

    /// Nil where no scores were sent.
    func scorePart(of map: FeatureMap) -> FeatureMap? {
      let first = messageFeatures + RowReport.allCases.count
      guard map.features > first else { return nil }
      return FeatureMap(base: map[first], features: map.features - first, rows: map.rows)
    }
  }

  static func workspaceBytes(
    _ rule: StepRule, experts: Int, pixels: Int, batchRows: Int, blockRows: Int
  ) -> Int {
    let message = rule.scorer.messageFeatures
    let slots = rule.routing.slots(experts: experts)
    // Message, scores, results and regularisers' gradients on the shard and on rank 0; answers and their gradients.
    let features =
      3 * message + 8 * experts + 2 * (message + RowReport.allCases.count)
      + 2 * slots * rule.mixture.layout.width
    let blocks = (batchRows + blockRows - 1) / blockRows
    return Workspace.bytes(floats: FeatureMap.count(features: features, rows: batchRows))
      + Workspace.bytes(floats: blocks * Tiles.floats(pixels: pixels, rows: blockRows))
      + rule.mixture.workspaceBytes(slots: rule.selection.slots(experts: experts)) + (blocks + 32) * 64
  }
}
