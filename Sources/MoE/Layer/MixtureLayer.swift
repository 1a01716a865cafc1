package import Dist
package import KernelInterface
internal import Networks
package import Numerics

/// Which experts a row gets, and what its scores are made of.
package struct LayerRule: Sendable {
  /// The experts that a row's mixture takes.
  package let selection: any Selection
  package let scorer: any Scorer
  package let layout: AnswerLayout

  package init(selection: any Selection, scorer: any Scorer, layout: AnswerLayout) {
    self.selection = selection
    self.scorer = scorer
    self.layout = layout
  }

  /// The experts that a row is sent to: all where it can only be scored with every answer.
  package var routing: any Selection { scorer.reasonForAll == nil ? selection : AllExperts() }
}

/// A mixture-of-experts layer over ranks: rows in, scores and answers in slots out, and gradients back.
///
/// The layer ends at slots: what a model makes of them, and their gradients, is the caller's. A caller that has a
/// ``Readout`` for it calls ``forward(_:features:_:through:at:signal:)`` and
/// ``backward(_:gradients:through:into:)``. Letters: B rows in the batch, E experts, N ranks. Every rank calls every method
/// for the same batch, so that all make the same collectives.
///
/// 1. A rank's shard is a run of whole blocks of the batch.
/// 2. The gate turns rows into a message per row, on rank 0 or, as a copy, on every rank.
/// 3. A ``Scorer`` turns messages into scores on the rows' shards, a ``Selection`` scores into experts.
/// 4. The plan says who gets which rows.
/// 5. Rows are dispatched.
/// 6. Experts answer.
/// 7. Answers come back into slots.
/// 8. Losses of the gate's choice are taken: of rows on their shards, of the whole batch on rank 0.
/// 9. Gradients travel by the same plan.
/// 10. Everything has one owner, which updates it; copies of a gate update a share each.
public final class MixtureLayer {
  package let rule: LayerRule
  package let gate: (any Gate)?
  package let trainsGate: Bool
  package let place: any GatePlace
  package let experts: ExpertExchange
  let communicator: any Communicator
  let channel: RootChannel
  let clock: any LayerClock
  private let blockRows: Int
  /// In training, where the layer has some.
  let losses: RoutingLosses?
  /// T of p = softmax(score/T), where the layer knows it.
  let temperature: Float
  package let workspace = Workspace()
  /// Rows as they travel, which are there before a pass takes its workspace back.
  let rowMemory = Workspace()

  /// - Parameters:
  ///   - gate: on the ranks where its place says; nil for one without parameters, too.
  ///   - losses: of what the gate chooses, on every rank; nil without.
  package init(
    _ rule: LayerRule, gate: (any Gate)?, trainsGate: Bool, place: any GatePlace, experts: ExpertExchange,
    blockRows: Int, losses: RoutingLosses?, temperature: Float = 1, communicator: any Communicator,
    clock: any LayerClock
  ) {
    self.rule = rule
    self.gate = gate
    self.trainsGate = trainsGate
    self.place = place
    self.experts = experts
    self.blockRows = blockRows
    self.losses = trainsGate ? losses : nil
    self.communicator = communicator
    self.temperature = temperature
    self.clock = clock
    channel = RootChannel(communicator)
  }

  var expertCount: Int { experts.placement.experts }
  /// Whether rank 0 has the scores because it made them.
  var rootHasScores: Bool { rule.scorer.scoresAreMessage && !place.isReplicated }

  /// How a batch of so many rows is cut.
  public func batch(rows: Int) -> BatchBlocks {
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
    if rule.routing.takesAll {
      routed = try experts.send(RoutingPlan(dense: count, placement: experts.placement), rows)
    }

    let message = workspace.map(features: scorer.messageFeatures, rows: count)
    let written = place.begin(batch, message: message, in: workspace)
    let gated = gate == nil ? 0..<0 : place.blocks(of: batch)
    let readsAll = point.isTraining && communicator.rank == 0 && losses?.needRows == true
    let ofBatch = readsAll ? 0..<batch.count : gated
    let travels = !rows.areEverywhere && needsRowsOnRoot(point)
    let wanted = travels ? batch.blocks(of: communicator.rank) : ofBatch
    var blocks = try clock.measure(part: .input) {
      let shared = routed.flatMap { experts.take($0) }
      return rows.blocks(wanted, of: batch, shared: shared, in: workspace)
    }
    if travels { blocks = try bringToRoot(blocks, ofBatch, features: rows.features, batch) }
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

    var chosen: RoutingChoice?
    var said = Float(0)
    if !rule.routing.takesAll {
      said = try deliver()
      let nothing = workspace.map(features: 0, rows: count)
      let choice = try choose(
        ShardRows(message: message, answers: nothing, layout: rule.layout, signal: signal), batch, written,
        at: point)
      chosen = choice
      let plan = try clock.measure(part: .plan) {
        choice.table.map { RoutingPlan($0, placement: experts.placement) }
      }
      routed = try plan.map { try experts.send($0, rows) }
      _ = try clock.measure(part: .input) { routed.map { experts.take($0) } }
    }
    guard let routed else { preconditionFailure("every selection is routed") }
    let slots = workspace.map(
      features: rule.routing.slots(experts: expertCount) * rule.layout.width, rows: count)
    let answers = try experts.answer(routed, mode: expertMode, into: slots)
    let shard = ShardRows(message: message, answers: slots, layout: rule.layout, signal: signal)
    if rule.routing.takesAll {
      said = try deliver()
      chosen = try choose(shard, batch, written, at: point)
    }
    guard let chosen else { preconditionFailure("every row is scored") }

    experts.bank.countSelected(chosen.table, rows: count)

    var pass = LayerPass(
      batch: batch, isTraining: point.isTraining, shard: shard, choice: chosen, word: said, routed: routed,
      answers: answers)
    if let losses, point.isTraining { try addLosses(losses, blocks, at: point, to: &pass) }
    return pass
  }

  // MARK: From slots back

  /// Memory for what this shard hands in: the gradient of its message, and what the caller wants on rank 0.
  package func parcel(_ pass: LayerPass, riders: Int) -> LayerParcel {
    // Where rank 0 does not know the scores yet, they ride along.
    let scores = pass.choice.rootKnows ? nil : pass.scores
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
    if !scorer.scoresAreMessage {
      for losses in pass.shardGradients { kernels.add(losses, to: gradients.gateScores) }
    }
    scorer.backward(
      pass.shard,
      ScoreGradients(
        gate: gradients.gateScores, experts: gradients.expertScores, temperature: temperature,
        batchRows: pass.batch.rows),
      into: ScorerGradients(message: parcel.gradient, answers: gradients.answers, losses: rowLosses))
    // A message of scores gets their gradient directly, as on rank 0: its scorer may have a loss of its own.
    if scorer.scoresAreMessage {
      for losses in pass.shardGradients { kernels.add(losses, to: parcel.gradient) }
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
    if !pass.choice.rootKnows, let riders = collected.riders {
      pass.choice.whole = riders.part(riders.features - expertCount..<riders.features)
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
    let ofGate = rows.flatMap { gateRowGradient($0, pass.batch) }
    try clock.measure(part: .gateBackward) {
      guard trainsGate, let gate, let gradient = collected.gradient else { return }
      // Rank 0 has the scores itself, so it adds what the losses say of them itself.
      if let losses = pass.rootGradient { kernels.add(losses, to: gradient) }
      try gate.backward(gradient, rows: ofGate)
    }
    guard let rows, rule.scorer.messageFeatures > 0 else { return }
    try addGateRowGradient(ofGate, to: rows, pass.batch)
  }
}
