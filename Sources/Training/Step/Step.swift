package import DataSets
package import Dist
package import KernelInterface
package import MoE
internal import Networks
package import Numerics
internal import Records

/// One training step as the data sees it, and the forward half of it for evaluation.
///
/// Letters: B rows in the batch, E experts, N ranks, C classes. Every rank calls ``run(_:of:mode:word:)`` for the same
/// batch; all ranks make the same sequence of collectives, whatever their counts.
package final class Step {
  /// What rank 0 knows of a batch after its step.
  package struct Outcome {
    /// [E][B], nil on other ranks.
    package let scores: FeatureMap?
    /// [RowReport][B], nil on other ranks.
    package let report: FeatureMap?
    /// What the regularisers said, on rank 0 in training.
    package let regularisers: RegulariserLosses?
    /// Rank 0's word of this step, on every rank.
    package let word: Float
    /// The largest word of all ranks, on rank 0.
    package let raised: Float
  }

  package enum Mode {
    case training(AdamStep)
    case evaluation

    var isTraining: Bool {
      if case .training = self { return true }
      return false
    }
  }

  let parts: ModelParts
  let bank: ExpertBank
  let rule: StepRule
  let blockRows: Int
  let payload: Payload
  let normalisation: Normalisation
  let communicator: any Communicator
  let exchange: Exchange
  let channel: RootChannel
  let clock: PhaseClock
  let workspace: Workspace
  /// On rank 0 in training, where the run has some.
  let regularisers: Regularisers?
  private let isRegularised: Bool
  /// Whether rank 0 has the scores because it made them.
  var rootHasScores: Bool { rule.scorer.scoresAreMessage && parts.replicas == nil }

  /// - Parameter batchRows: the largest batch.
  package init(
    _ parts: ModelParts, bank: ExpertBank, rule: StepRule, configuration: Configuration,
    normalisation: Normalisation, batchRows: Int, training: Bool, communicator: any Communicator,
    clock: PhaseClock
  ) {
    self.parts = parts
    self.bank = bank
    self.rule = rule
    blockRows = configuration.blockRows
    payload = configuration.payload
    self.normalisation = normalisation
    self.communicator = communicator
    self.clock = clock
    exchange = Exchange(
      communicator, placement: parts.placement, answerFeatures: rule.mixture.layout.width)
    channel = RootChannel(communicator)
    let experts = parts.placement.experts
    isRegularised = training && parts.trainsGate && configuration.isRegularised
    regularisers =
      isRegularised && communicator.rank == 0
      ? Regularisers(
        configuration.regularisers, temperature: Float(configuration.temperature), experts: experts,
        batchRows: batchRows) : nil
    workspace = Workspace(
      capacity: Step.workspaceBytes(
        rule, experts: experts, pixels: parts.input.pixels, batchRows: batchRows, blockRows: blockRows))
  }

  /// - Parameters:
  ///   - samples: the batch: the sample of every row.
  ///   - word: what this rank has to say beside the data: rank 0 to all, every rank to rank 0.
  package func run(
    _ samples: ArraySlice<Int32>, of images: ImageView, mode: Mode, word: Float
  ) throws -> Outcome {
    workspace.reset()
    let experts = parts.placement.experts
    let scorer = rule.scorer
    let gateMode: NetworkMode = mode.isTraining && parts.trainsGate ? .training : .evaluation
    let expertMode: NetworkMode = mode.isTraining && parts.trainsExperts ? .training : .evaluation

    // 1. Batch: every rank knows the order; its shard is a run of whole blocks.
    let blocks = BatchBlocks(rows: samples.count, blockRows: blockRows, ranks: communicator.size)
    let shard = blocks.shard(of: communicator.rank)
    let rows = samples[(samples.startIndex + shard.lowerBound)..<(samples.startIndex + shard.upperBound)]
    let batch = Batch(blocks: blocks, labels: rows.map { images.labels[Int($0)] })

    // Where every expert takes every row, plan and dispatch (4 and 5) do not wait for the gate: the rows leave first, and
    // the other ranks compute while rank 0 gates.
    var routed: Routed?
    if rule.routing == .all {
      routed = try route(RoutingPlan(dense: shard.count, placement: parts.placement), rows, of: images)
    }

    // 2. Gate, block by block: a message to the shard of every row; on rank 0 from its own copy of the data, or from a
    // copy of the gate where the shard is.
    let message = workspace.map(features: scorer.messageFeatures, rows: shard.count)
    let wholeMessage = parts.replicas == nil ? rootMap(scorer.messageFeatures, blocks) : nil
    let gated =
      parts.gate == nil
      ? 0..<0 : parts.replicas == nil ? 0..<blocks.count : blocks.blocks(of: communicator.rank)
    let wanted = mode.isTraining && regularisers != nil ? 0..<blocks.count : gated
    let tiles = try clock.measure(.input) {
      let shared = routed.flatMap { bank.take($0.rows, $0.arrival, images: images) }
      return gateTiles(wanted, samples, blocks, of: images, shared: shared)
    }
    try clock.measure(.gate) {
      guard let gate = parts.gate else { return }
      parts.replicas?.begin(blocks)
      let first = wanted.lowerBound
      try gate.forward(
        Array(tiles[gated.lowerBound - first..<gated.upperBound - first]), mode: gateMode,
        into: wholeMessage ?? message)
    }

    func deliverMessage() throws -> Float {
      parts.replicas == nil
        ? try deliver(wholeMessage, into: message, batch, word: word) : try deliverWord(batch, word: word)
    }

    // 3. Selection turns scores into (row, expert) pairs, for routing where scores do not wait for answers.
    let scores = workspace.map(features: experts, rows: shard.count)
    var table: SlotTable?
    var said = Float(0)
    if rule.routing != .all {
      said = try deliverMessage()
      let nothing = workspace.map(features: 0, rows: shard.count)
      table = try select(
        ShardRows(message: message, answers: nothing, layout: rule.mixture.layout, labels: batch.labels),
        into: scores)
      // 4. Plan and 5. Dispatch: a row goes at most once to a rank.
      let plan = try clock.measure(.plan) {
        table.map { RoutingPlan($0, placement: parts.placement) }
      }
      routed = try plan.map { try route($0, rows, of: images) }
      _ = try clock.measure(.input) { routed.map { bank.take($0.rows, $0.arrival, images: images) } }
    }
    guard let routed else { preconditionFailure("every selection is routed") }

    // 6. Experts: each on its rows, ascending.
    let answers = try clock.measure(.experts) {
      try bank.forward(
        routed.rows, routed.arrival, images: images, mode: expertMode, hidden: scorer.hiddenFeatures > 0)
    }

    // 7. Combine: ln y, and hidden values where the gate asks for them, per (row, expert) come back to the shard, unsummed.
    let slots = workspace.map(
      features: rule.routing.slots(experts: experts) * rule.mixture.layout.width, rows: shard.count)
    try clock.meet()
    try clock.measure(.combine) {
      try exchange.combine(answers, from: routed.arrival, routed.plan, into: slots)
    }
    let shardRows = ShardRows(
      message: message, answers: slots, layout: rule.mixture.layout, labels: batch.labels)
    if rule.routing == .all {
      said = try deliverMessage()
      table = try select(shardRows, into: scores)
    }
    bank.countSelected(table, rows: shard.count)
    let regularises = isRegularised && mode.isTraining
    let wholeScores = try rootHasScores ? wholeMessage : regularises ? collect(scores, batch) : nil

    // 8. Mixture and loss, on the shard that holds the labels; regularisers of the whole batch, on rank 0.
    let input = ShardMixture(
      scores: scores, answers: slots, table: table, labels: batch.labels, batchRows: samples.count)
    let regularised = try regularises ? regularise(wholeScores, tiles, batch) : nil
    let results = ShardResults(
      self, shard.count, isTraining: mode.isTraining,
      scores: rootHasScores || regularises ? nil : scores)
    try clock.measure(.loss) {
      input.run(rule.mixture, report: results.report, gradients: results.gradients, in: workspace)
      if mode.isTraining { finishLoss(shardRows, input, results, regularised?.shard) }
    }
    let whole = rootMap(results.toRoot.features, blocks)
    let raised = try clock.measure(.combine) {
      try channel.gather(results.toRoot, into: whole, blocks, word: word)
    }
    let outcome = Outcome(
      scores: wholeScores ?? whole.flatMap { results.scorePart(of: $0) },
      report: whole.map { results.reportPart(of: $0) },
      regularisers: regularised?.losses, word: said, raised: raised)
    guard case .training(let adam) = mode else { return outcome }

    // 9. Backward: the answers' gradients go to the owners by the same plan, the message's to the gate.
    if parts.trainsExperts, let slotGradients = results.gradients?.answers {
      let gradients = bank.gradientMaps(answers)
      try clock.meet()
      try clock.measure(.returning) {
        try exchange.returnGradients(slotGradients, routed.plan, to: routed.arrival, into: gradients)
      }
      try clock.measure(.expertBackward) { try bank.backward(gradients, answers: answers) }
    }
    try clock.measure(.gateBackward) {
      guard parts.trainsGate, let gate = parts.gate else { return }
      let gradient = whole.flatMap { parts.replicas == nil ? results.messagePart(of: $0) : nil }
      // Rank 0 has the scores itself, so it adds what the regularisers say of them itself.
      if let root = regularised?.root, let gradient { kernels.add(root, to: gradient) }
      try gate.backward(gradient ?? results.messageGradient)
    }

    // 10. Update: everything has one owner, which updates it; the copies of a gate update a share each.
    try clock.measure(.optimiser) { try parts.update(adam) }
    return outcome
  }
}
