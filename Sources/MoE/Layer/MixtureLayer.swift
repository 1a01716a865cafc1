package import Dist
package import KernelInterface
internal import Networks
package import Numerics

/// Which experts a row gets, and what its scores are made of.
package struct LayerRule: Sendable {
  /// The experts that a row's mixture takes.
  package let selection: Selection
  package let scorer: any Scorer
  package let layout: AnswerLayout

  package init(selection: Selection, scorer: any Scorer, layout: AnswerLayout) {
    self.selection = selection
    self.scorer = scorer
    self.layout = layout
  }

  /// The experts that a row is sent to: all where it can only be scored with every answer.
  package var routing: Selection { scorer.needsAnswers ? .all : selection }
}

/// A mixture-of-experts layer over ranks: rows in, scores and answers in slots out, and gradients back.
///
/// The layer ends at slots: what a model makes of them, and their gradients, is the caller's. Letters: B rows in the batch,
/// E experts, N ranks. Every rank calls every method for the same batch, so that all make the same collectives.
///
/// 1. A rank's shard is a run of whole blocks of the batch. 2. The gate turns rows into a message per row, where its
/// ``GatePlace`` is. 3. A ``Scorer`` turns messages into scores on the rows' shards, a ``Selection`` scores into experts.
/// 4. The plan says who gets which rows. 5. Rows are dispatched. 6. Experts answer. 7. Answers come back into slots.
/// 8. Losses of the gate's probabilities over the whole batch are taken on rank 0. 9. Gradients travel by the same plan.
/// 10. Everything has one owner, which updates it.
package final class MixtureLayer {
  package let rule: LayerRule
  package let gate: (any Gate)?
  package let trainsGate: Bool
  package let place: any GatePlace
  package let experts: ExpertExchange
  private let communicator: any Communicator
  private let channel: RootChannel
  private let clock: any LayerClock
  private let blockRows: Int
  /// On rank 0 in training, where the layer has some.
  private let losses: Regularisers?
  private let hasLosses: Bool
  package let workspace = Workspace()

  /// - Parameters:
  ///   - gate: on the ranks where its place says; nil for one without parameters, too.
  ///   - losses: of the gate's probabilities; needed on rank 0 alone.
  ///   - hasLosses: whether there are any, on every rank.
  package init(
    _ rule: LayerRule, gate: (any Gate)?, trainsGate: Bool, place: any GatePlace, experts: ExpertExchange,
    blockRows: Int, losses: Regularisers?, hasLosses: Bool, communicator: any Communicator,
    clock: any LayerClock
  ) {
    self.rule = rule
    self.gate = gate
    self.trainsGate = trainsGate
    self.place = place
    self.experts = experts
    self.blockRows = blockRows
    self.losses = losses
    self.hasLosses = hasLosses && trainsGate
    self.communicator = communicator
    self.clock = clock
    channel = RootChannel(communicator)
  }

  private var expertCount: Int { experts.placement.experts }
  /// Whether rank 0 has the scores because it made them.
  private var rootHasScores: Bool { rule.scorer.scoresAreMessage && !place.isReplicated }

  /// How a batch of so many rows is cut.
  package func batch(rows: Int) -> BatchBlocks {
    BatchBlocks(rows: rows, blockRows: blockRows, ranks: communicator.size)
  }

  // MARK: Forward

  /// The scores of this rank's shard, and the answers of the experts that its rows were sent to.
  ///
  /// - Parameters:
  ///   - signal: [values][rows of the shard], what scorers get to know of a row beside message and answers.
  ///   - word: rank 0's, to all ranks.
  package func forward(
    _ rows: some LayerRows, _ batch: BatchBlocks, at point: StepPoint, signal: FeatureMap, word: Float
  ) throws -> LayerPass {
    workspace.reset()
    let scorer = rule.scorer
    let count = batch.shard(of: communicator.rank).count
    let gateMode: NetworkMode = trainsGate ? point.mode : .evaluation
    let expertMode: NetworkMode = experts.bank.isTrained ? point.mode : .evaluation

    // Where every expert takes every row, the rows leave before the gate is asked, and the other ranks compute while
    // rank 0 gates.
    var routed: ExpertExchange.Routed?
    if rule.routing == .all {
      routed = try experts.send(RoutingPlan(dense: count, placement: experts.placement), rows)
    }

    let message = workspace.map(features: scorer.messageFeatures, rows: count)
    let written = place.begin(batch, message: message, in: workspace)
    let gated = gate == nil ? 0..<0 : place.blocks(of: batch)
    let ofBatch = point.isTraining && losses != nil ? 0..<batch.count : gated
    let travels = !rows.areEverywhere && needsRowsOnRoot(point)
    let wanted = travels ? batch.blocks(of: communicator.rank) : ofBatch
    var blocks = try clock.measure(part: .input) {
      let shared = routed.flatMap { experts.take($0) }
      return rows.blocks(wanted, of: batch, shared: shared, in: workspace)
    }
    if travels { blocks = try onRoot(blocks, ofBatch, features: rows.features, batch) }
    try clock.measure(part: .gate) {
      guard let gate, let written else { return }
      let first = ofBatch.lowerBound
      try gate.forward(
        Array(blocks[gated.lowerBound - first..<gated.upperBound - first]), mode: gateMode, into: written)
    }
    func deliver() throws -> Float {
      try clock.meet()
      return try clock.measure(part: .combine) {
        try place.deliver(written, into: message, batch, word: word, in: workspace)
      }
    }

    let scores = workspace.map(features: expertCount, rows: count)
    var table: SlotTable?
    var said = Float(0)
    if rule.routing != .all {
      said = try deliver()
      let nothing = workspace.map(features: 0, rows: count)
      table = try select(
        ShardRows(message: message, answers: nothing, layout: rule.layout, signal: signal), into: scores)
      let plan = try clock.measure(part: .plan) {
        table.map { RoutingPlan($0, placement: experts.placement) }
      }
      routed = try plan.map { try experts.send($0, rows) }
      _ = try clock.measure(part: .input) { routed.map { experts.take($0) } }
    }
    guard let routed else { preconditionFailure("every selection is routed") }
    let slots = workspace.map(
      features: rule.routing.slots(experts: expertCount) * rule.layout.width, rows: count)
    let answers = try experts.answer(routed, mode: expertMode, into: slots)
    let shard = ShardRows(message: message, answers: slots, layout: rule.layout, signal: signal)
    if rule.routing == .all {
      said = try deliver()
      table = try select(shard, into: scores)
    }

    experts.bank.countSelected(table, rows: count)

    var pass = LayerPass(
      batch: batch, isTraining: point.isTraining, shard: shard, scores: scores, table: table, word: said,
      routed: routed, answers: answers)
    if rootHasScores { pass.wholeScores = written }
    if hasLosses, point.isTraining { try addLosses(blocks, to: &pass) }
    return pass
  }

  /// Whether rank 0 has to see every row, the same on every rank.
  private func needsRowsOnRoot(_ point: StepPoint) -> Bool {
    (rule.scorer.messageFeatures > 0 && !place.isReplicated) || (hasLosses && point.isTraining)
  }

  /// Brings rows that only their shards have to rank 0. Collective.
  ///
  /// - Parameters:
  ///   - shard: the blocks of this rank's shard.
  ///   - wanted: which blocks this rank wants.
  private func onRoot(
    _ shard: [RowBlock], _ wanted: Range<Int>, features: Int, _ batch: BatchBlocks
  ) throws -> [RowBlock] {
    let part = workspace.map(features: features, rows: batch.shard(of: communicator.rank).count)
    var first = 0
    for block in shard {
      copyColumns(of: block.features(in: workspace), into: part, first: first)
      first += block.rows
    }
    let whole = onRoot(features: features, batch)
    _ = try clock.measure(part: .input) { try channel.gather(part, into: whole, batch, word: 0) }
    guard let whole else { return wanted == batch.blocks(of: communicator.rank) ? shard : [] }
    return wanted.map { block in
      let rows = batch[block]
      let map = workspace.map(features: features, rows: rows.count)
      for feature in 0..<features {
        map[feature].update(from: whole[feature] + rows.lowerBound, count: rows.count)
      }
      map.clearPadding()
      return .features(map)
    }
  }

  /// Memory for something of the whole batch on rank 0, nil elsewhere.
  private func onRoot(features: Int, _ batch: BatchBlocks) -> FeatureMap? {
    communicator.rank == 0 ? workspace.map(features: features, rows: batch.rows) : nil
  }

  /// Scores the experts, and takes the mixture's from them; nil where it takes all.
  private func select(_ rows: ShardRows, into scores: FeatureMap) throws -> SlotTable? {
    try clock.measure(part: .plan) {
      rule.scorer.score(rows, into: scores)
      guard case .top(let k) = rule.selection else { return nil }
      return SlotTable(topOf: scores, slots: k)
    }
  }

  /// Losses of the whole batch's probabilities on rank 0, and their gradients of the scores: there, or delivered to the
  /// shards where the scores were made there.
  ///
  /// - Parameter blocks: the whole batch on rank 0.
  private func addLosses(_ blocks: [RowBlock], to pass: inout LayerPass) throws {
    let batch = pass.batch
    if !rootHasScores {
      let whole = onRoot(features: expertCount, batch)
      _ = try clock.measure(part: .combine) { try channel.gather(pass.scores, into: whole, batch, word: 0) }
      pass.wholeScores = whole
    }
    let gradient = onRoot(features: expertCount, batch)
    try clock.measure(part: .loss) {
      guard let losses, let scores = pass.wholeScores, let gradient else { return }
      pass.losses = losses.gradient(scores, rows: blocks, into: gradient)
    }
    if rootHasScores {
      pass.rootGradient = gradient
    } else {
      let part = workspace.map(features: expertCount, rows: pass.scores.rows)
      try clock.meet()
      _ = try clock.measure(part: .combine) { try channel.scatter(gradient, into: part, batch, word: 0) }
      pass.shardGradient = part
    }
  }

  // MARK: From slots back

  /// Memory for what this shard hands in: the gradient of its message, and what the caller wants on rank 0.
  package func parcel(_ pass: LayerPass, riders: Int) -> LayerParcel {
    // Where rank 0 does not know the scores yet, they ride along.
    let scores = pass.sendsScores(rootHasScores) ? pass.scores : nil
    let parcel = place.parcel(
      gradient: pass.isTraining ? rule.scorer.gradientFeatures : 0,
      riders: riders + (scores?.features ?? 0), rows: pass.scores.rows, in: workspace)
    if let scores {
      parcel.riders[riders].update(from: scores.base, count: scores.features * scores.stride)
    }
    return parcel
  }

  /// Memory for gradients of scores and slots.
  ///
  /// - Parameter detached: whether gate and experts are trained with losses of their own.
  package func gradients(_ pass: LayerPass, detached: Bool) -> MixtureGradients {
    let rows = pass.scores.rows
    let gate = workspace.map(features: expertCount, rows: rows)
    return MixtureGradients(
      gateScores: gate, expertScores: detached ? workspace.map(features: expertCount, rows: rows) : gate,
      answers: experts.bank.isTrained
        ? workspace.map(features: pass.shard.answers.features, rows: rows) : nil)
  }

  /// Takes the gradients of the scores, and of the losses of the gate's probabilities, to message and answers.
  ///
  /// - Parameters:
  ///   - temperature: T of p = softmax(score/T) of the gate's loss.
  ///   - rowLosses: [rows], to which a scorer with a loss of its own adds, or which it replaces.
  package func finish(
    _ gradients: MixtureGradients, _ pass: LayerPass, _ parcel: LayerParcel, temperature: Float,
    rowLosses: Floats
  ) {
    let scorer = rule.scorer
    // With two temperatures the experts are detached from the gate's loss, which the others belong to.
    if let losses = pass.shardGradient, !scorer.scoresAreMessage {
      kernels.add(losses, to: gradients.gateScores)
    }
    scorer.backward(
      pass.shard,
      ScoreGradients(
        gate: gradients.gateScores, experts: gradients.expertScores, temperature: temperature,
        batchRows: pass.batch.rows),
      into: ScorerGradients(message: parcel.gradient, answers: gradients.answers, losses: rowLosses))
    // A message of scores gets their gradient directly, as on rank 0: its scorer may have a loss of its own.
    if let losses = pass.shardGradient, scorer.scoresAreMessage {
      kernels.add(losses, to: parcel.gradient)
    }
  }

  /// Brings what the shards hand in to gate and rank 0. Collective.
  ///
  /// - Parameter word: this rank's, to rank 0.
  package func collect(_ parcel: LayerParcel, _ pass: inout LayerPass, word: Float) throws
    -> CollectedParcels
  {
    let collected = try clock.measure(part: .combine) {
      try place.collect(parcel, pass.batch, word: word, in: workspace)
    }
    if pass.sendsScores(rootHasScores), let riders = collected.riders {
      pass.wholeScores = riders.part(riders.features - expertCount..<riders.features)
    }
    return collected
  }

  /// The gradients of experts and gate, and of the rows where they are asked for. Collective.
  ///
  /// - Parameters:
  ///   - slots: the gradients of the answers; nil where the experts are frozen.
  ///   - collected: what ``collect(_:_:word:)`` brought.
  ///   - rows: [features][rows of the shard], overwritten: what came through the experts, by ascending expert, then what
  ///     came through the gate; nil: rows have no gradient.
  package func backward(
    _ pass: LayerPass, slots: FeatureMap?, _ collected: CollectedParcels, rows: FeatureMap? = nil
  ) throws {
    rows?.clear()
    if let slots {
      try experts.backward(slots, pass.routed, answers: pass.answers, rows: rows, in: workspace)
    }
    // Where the gate works on the shards, it writes their rows' gradients there.
    let ofGate = rows.flatMap { rows in
      place.isReplicated
        ? workspace.map(features: rows.features, rows: rows.rows)
        : onRoot(features: rows.features, pass.batch)
    }
    try clock.measure(part: .gateBackward) {
      guard trainsGate, let gate, let gradient = collected.gradient else { return }
      // Rank 0 has the scores itself, so it adds what the losses say of them itself.
      if let losses = pass.rootGradient { kernels.add(losses, to: gradient) }
      try gate.backward(gradient, rows: ofGate)
    }
    guard let rows, trainsGate, rule.scorer.messageFeatures > 0 else { return }
    var part = ofGate
    if !place.isReplicated {
      let arrived = workspace.map(features: rows.features, rows: rows.rows)
      _ = try clock.measure(part: .gateBackward) {
        try channel.scatter(ofGate, into: arrived, pass.batch, word: 0)
      }
      part = arrived
    }
    if let part {
      kernels.add(part, to: rows)
      rows.clearPadding()
    }
  }
}

/// What a layer keeps of a forward pass. Valid until the next one.
package struct LayerPass {
  package let batch: BatchBlocks
  package let isTraining: Bool
  /// Message, answers by slot, and signal of this rank's shard.
  package let shard: ShardRows
  /// [experts][rows of the shard]
  package let scores: FeatureMap
  /// The experts of the slots; nil where slot = expert.
  package let table: SlotTable?
  /// Rank 0's word.
  package let word: Float
  let routed: ExpertExchange.Routed
  /// Of the experts here.
  let answers: [FeatureMap]
  /// [experts][B] on rank 0, as soon as it knows them; nil elsewhere.
  package internal(set) var wholeScores: FeatureMap?
  /// What the losses of the gate's probabilities came to, on rank 0.
  package internal(set) var losses: RegulariserLosses?
  /// Their gradient of the scores, on rank 0 or on the shard.
  var rootGradient: FeatureMap?
  var shardGradient: FeatureMap?

  init(
    batch: BatchBlocks, isTraining: Bool, shard: ShardRows, scores: FeatureMap, table: SlotTable?,
    word: Float,
    routed: ExpertExchange.Routed, answers: [FeatureMap]
  ) {
    self.batch = batch
    self.isTraining = isTraining
    self.shard = shard
    self.scores = scores
    self.table = table
    self.word = word
    self.routed = routed
    self.answers = answers
  }

  /// Whether rank 0 has yet to be told the scores.
  func sendsScores(_ rootHasThem: Bool) -> Bool { !rootHasThem && shardGradient == nil }
}
