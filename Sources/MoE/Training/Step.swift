package import Dist

/// One training step as the data sees it, and the forward half of it for evaluation.
///
/// Letters: B rows in the batch, E experts, N ranks, C classes. Every rank calls ``run(_:of:mode:word:)`` for the same
/// batch; all ranks make the same sequence of collectives, whatever their counts.
package final class Step {
  /// What rank 0 knows of a batch after its step.
  package struct Outcome {
    /// [E][B], nil on other ranks.
    package let logits: FeatureMap?
    /// [E + RowReport][B], nil on other ranks.
    package let report: FeatureMap?
    /// Rank 0's word of this step, on every rank.
    package let word: Float
    /// The largest word of all ranks, on rank 0.
    package let raised: Float
  }

  package enum Mode {
    case training(AdamStep)
    case evaluation

    var network: NetworkMode {
      if case .training = self { return .training }
      return .evaluation
    }
  }

  package let bank: ExpertBank
  private let parts: ModelParts
  private let selection: Selection
  private let rule: MixtureRule
  private let blockRows: Int
  private let payload: Payload
  private let normalisation: Normalisation
  private let communicator: any Communicator
  private let exchange: Exchange
  private let channel: RootChannel
  private let clock: PhaseClock
  private let workspace: Workspace

  package init(
    _ parts: ModelParts, bank: ExpertBank, selection: Selection, rule: MixtureRule, blockRows: Int,
    payload: Payload,
    normalisation: Normalisation, batchRows: Int, communicator: any Communicator, clock: PhaseClock
  ) {
    self.parts = parts
    self.bank = bank
    self.selection = selection
    self.rule = rule
    self.blockRows = blockRows
    self.payload = payload
    self.normalisation = normalisation
    self.communicator = communicator
    self.clock = clock
    exchange = Exchange(communicator, placement: parts.placement, classes: parts.classes)
    channel = RootChannel(communicator)
    let experts = parts.placement.experts
    let slots = selection.slots(experts: experts)
    let reports = experts + RowReport.allCases.count
    let features = 2 * experts + 2 * reports + 2 * slots * parts.classes
    let blocks = (batchRows + blockRows - 1) / blockRows
    let gateInput = parts.gate == nil ? 0 : blocks * Tiles.floats(pixels: parts.input.pixels, rows: blockRows)
    workspace = Workspace(
      capacity: Workspace.bytes(floats: FeatureMap.count(features: features, rows: batchRows) + gateInput)
        + Workspace.bytes(floats: (2 * experts + 2 * slots + parts.classes) * laneCount) + (blocks + 32) * 64)
  }

  /// - Parameters:
  ///   - samples: the batch: the sample of every row.
  ///   - word: what this rank has to say beside the data: rank 0 to all, every rank to rank 0.
  package func run(
    _ samples: ArraySlice<Int32>, of images: ImageSet, mode: Mode, word: Float
  ) throws -> Outcome {
    workspace.reset()
    let isRoot = communicator.rank == 0
    let experts = parts.placement.experts

    // 1. Batch: every rank knows the order; its shard is a run of whole blocks.
    let blocks = BatchBlocks(rows: samples.count, blockRows: blockRows, ranks: communicator.size)
    let shard = blocks.shard(of: communicator.rank)
    let rows = samples[(samples.startIndex + shard.lowerBound)..<(samples.startIndex + shard.upperBound)]

    // Where every expert takes every row, plan and dispatch (4 and 5) do not wait for the gate: the rows leave first, and
    // the other ranks compute while rank 0 gates.
    var routed: Routed?
    if selection == .all {
      routed = try route(RoutingPlan(dense: shard.count, placement: parts.placement), rows, of: images)
    }

    // 2. Gate, on rank 0 from its own copy of the data, block by block.
    let allLogits = isRoot ? workspace.map(features: experts, rows: samples.count) : nil
    let tiles = try clock.measure(.input) { isRoot ? gateTiles(samples, blocks, of: images) : [] }
    try clock.measure(.gate) {
      if let gate = parts.gate, let allLogits { gate.forward(tiles, mode: mode.network, into: allLogits) }
    }

    // 3. Selection turns logits into (row, expert) pairs.
    let logits = workspace.map(features: experts, rows: shard.count)
    var table: SlotTable?
    var said = Float(0)
    if case .top(let k) = selection {
      said = try deliver(allLogits, into: logits, blocks, word: word)
      let selected = try clock.measure(.plan) { SlotTable(topOf: logits, slots: k) }
      table = selected
      // 4. Plan and 5. Dispatch: a row goes at most once to a rank.
      let plan = try clock.measure(.plan) { RoutingPlan(selected, placement: parts.placement) }
      routed = try route(plan, rows, of: images)
    }
    guard let routed else { preconditionFailure("every selection is routed") }

    // 6. Experts: each on its rows, ascending.
    let answers = try clock.measure(.experts) {
      bank.forward(routed.rows, routed.arrival, images: images, mode: mode.network)
    }

    // 7. Combine: ln y per (row, expert) comes back to the shard, unsummed.
    let slots = workspace.map(
      features: selection.slots(experts: experts) * parts.classes, rows: shard.count)
    try clock.meet()
    try clock.measure(.combine) {
      try exchange.combine(answers, from: routed.arrival, routed.plan, into: slots)
    }
    if selection == .all { said = try deliver(allLogits, into: logits, blocks, word: word) }

    // 8. Mixture and loss, on the shard that holds the labels.
    let report = workspace.map(features: experts + RowReport.allCases.count, rows: shard.count)
    var slotGradients: FeatureMap?
    if case .training = mode { slotGradients = workspace.map(features: slots.features, rows: shard.count) }
    try clock.measure(.loss) {
      mixture(
        rule, logits: logits, answers: slots, table: table, labels: rows.map { images.labels[Int($0)] },
        batchRows: samples.count, report: report, answerGradients: slotGradients, in: workspace)
    }
    let whole = isRoot ? workspace.map(features: report.features, rows: samples.count) : nil
    let raised = try clock.measure(.combine) { try channel.gather(report, into: whole, blocks, word: word) }
    let outcome = Outcome(logits: allLogits, report: whole, word: said, raised: raised)
    guard case .training(let adam) = mode, let slotGradients else { return outcome }

    // 9. Backward: the answers' gradients go to the owners by the same plan, the logits' to the gate.
    let gradients = bank.gradientMaps(answers)
    try clock.meet()
    try clock.measure(.returning) {
      try exchange.returnGradients(slotGradients, routed.plan, to: routed.arrival, into: gradients)
    }
    try clock.measure(.expertBackward) { bank.backward(gradients, answers: answers) }
    try clock.measure(.gateBackward) {
      guard let gate = parts.gate, let whole else { return }
      gate.backward(FeatureMap(base: whole.base, features: experts, rows: whole.rows))
    }

    // 10. Update: everything has one owner, which updates it.
    try clock.measure(.optimiser) {
      for network in parts.networks { network.parameters.update(adam) }
    }
    return outcome
  }

  // MARK: Parts

  private struct Routed {
    let plan: RoutingPlan
    let arrival: Exchange.Arrival
    let rows: UnsafeRawPointer
  }

  private func route(_ plan: RoutingPlan, _ samples: ArraySlice<Int32>, of images: ImageSet) throws -> Routed
  {
    try clock.meet()
    let arrival = try clock.measure(.plan) { try exchange.announce(plan) }
    let pixels = parts.input.pixels
    let rows = try clock.measure(.dispatch) {
      try images.images.withUnsafeBufferPointer { bytes in
        func image(_ row: Int) -> UnsafePointer<UInt8> {
          bytes.baseAddress! + Int(samples[samples.startIndex + row]) * pixels
        }
        switch payload {
        case .uint8:
          return try exchange.dispatch(plan, to: arrival, rowBytes: pixels) { row, target in
            target.copyMemory(from: image(row), byteCount: pixels)
          }
        case .float32:
          return try exchange.dispatch(plan, to: arrival, rowBytes: pixels * 4) { row, target in
            normalisation.writeRow(image(row), into: target.assumingMemoryBound(to: Float.self))
          }
        case .index:
          return try exchange.dispatch(plan, to: arrival, rowBytes: 4) { row, target in
            target.storeBytes(of: samples[samples.startIndex + row], as: Int32.self)
          }
        }
      }
    }
    return Routed(plan: plan, arrival: arrival, rows: rows)
  }

  private func gateTiles(_ samples: ArraySlice<Int32>, _ blocks: BatchBlocks, of images: ImageSet) -> [Tiles]
  {
    let pixels = parts.input.pixels
    return images.images.withUnsafeBufferPointer { bytes in
      (0..<blocks.count).map { block in
        let rows = blocks[block]
        let tiles = Tiles(
          base: workspace.floats(Tiles.floats(pixels: pixels, rows: rows.count)), pixels: pixels,
          rows: rows.count)
        normalisation.fill(tiles) { row in
          bytes.baseAddress! + Int(samples[samples.startIndex + rows.lowerBound + row]) * pixels
        }
        return tiles
      }
    }
  }

  private func deliver(
    _ all: FeatureMap?, into logits: FeatureMap, _ blocks: BatchBlocks, word: Float
  ) throws -> Float {
    try clock.meet()
    return try clock.measure(.combine) { try channel.scatter(all, into: logits, blocks, word: word) }
  }
}
