package import MoE
internal import Networks
internal import Records
package import Training

/// The predicted time of a step from the costs of its parts: what rank 0 does, what the fullest other rank does, and who
/// waits for whom. Routing is taken as even.
package struct StepModel: StepForecast {
  package let outline: ModelOutline
  package let costs: StepCosts
  package let links: Links

  package init(_ outline: ModelOutline, _ costs: StepCosts, _ links: Links) {
    self.outline = outline
    self.costs = costs
    self.links = links
  }

  /// What the placement weighs, in seconds.
  package func load(gate: GatePlacement, ranks: Int) -> PlacementLoad {
    let b = Double(outline.batchRows)
    let pairs = b * Double(outline.slots) / Double(outline.experts)
    let calls = min(1, pairs)
    let atRoot = gate == .root
    let gateForward = costs.gateForward.seconds(calls: Double(outline.blocks), units: b)
    let gateBackward = costs.gateBackward.seconds(calls: Double(outline.blocks), units: b)
    let update = costs.optimiser.seconds(units: Double(outline.gateSize.parameterCount))
    let own = costs.optimiser.seconds(units: Double(outline.expertSpec.parameterCount))
    return PlacementLoad(
      gateForward: atRoot && outline.gateComputes ? gateForward + costs.input.seconds(units: b) : 0,
      gateBackward: atRoot && outline.trainsGate && outline.gateComputes ? gateBackward + update : 0,
      expertForward: costs.expertForward.seconds(calls: calls, units: pairs)
        + (outline.isDense ? 0 : costs.input.seconds(units: pairs)),
      expertBackward: outline.trainsExperts
        ? costs.expertBackward.seconds(calls: calls, units: pairs) + own : 0, overlaps: outline.isDense)
  }

  /// - Parameter first: experts on rank 0; nil: as many as the placement `auto` puts there.
  package func predict(ranks: Int, gate: GatePlacement, expertsOnFirst first: Int?) -> StepPrediction {
    let first = first ?? load(gate: gate, ranks: ranks).expertsOnFirst(of: outline.experts, ranks: ranks)
    let layout = StepLayout(outline, ranks: ranks, gate: gate, expertsOnFirst: first)
    var here = local(layout.first)
    var there = ranks > 1 ? local(layout.other) : here
    let wire = wire(layout)
    // Who waits: the parts of a step that begin together on all ranks.
    let parts: [[Phase]] =
      outline.isDense
      ? [[.trunk, .plan, .dispatch], [.input, .gate, .experts], [.combine], [.loss, .returning]]
      : [[.trunk, .input, .gate], [.plan, .dispatch], [.experts], [.combine], [.loss, .returning]]
    let last: [Phase] = [
      .expertBackward, .gateBackward, .trunkBackward, .optimiser, .metrics, .other,
    ]
    func sum(_ phases: [Phase], _ times: [Double]) -> Double { phases.reduce(0) { $0 + times[$1.index] } }
    var period = 0.0
    var (waitingHere, waitingThere) = (0.0, 0.0)
    for part in parts + [last] {
      let (a, b) = (sum(part, here), sum(part, there))
      period += max(a, b)
      waitingHere += max(0, b - a)
      waitingThere += max(0, a - b)
    }
    for phase in Phase.allCases {
      here[phase.index] += wire[phase.index]
      there[phase.index] += wire[phase.index]
    }
    here[Phase.waiting.index] += waitingHere
    there[Phase.waiting.index] += waitingThere
    return StepPrediction(
      first: here, other: there, step: period + wire.reduce(0, +) - here[Phase.metrics.index])
  }

  /// The compute of a rank, and its copies into and out of messages.
  private func local(_ rank: StepLayout.Rank) -> [Double] {
    var seconds = [Double](repeating: 0, count: Phase.allCases.count)
    func set(_ phase: Phase, _ value: Double) { seconds[phase.index] = value }
    let gateCalls = Double(rank.gateBlocks)
    let gateRows = Double(rank.gateRows)
    let parameters = Double(outline.layers * rank.experts * outline.expertSpec.parameterCount)
    let isRoot = rank.isRoot
    if outline.isDeep {
      let (calls, rows) = (Double(rank.shardBlocks), Double(rank.shardRows))
      set(.input, costs.input.seconds(calls: 0, units: rows))
      set(.trunk, costs.trunkForward.seconds(calls: calls, units: rows))
      set(.trunkBackward, costs.trunkBackward.seconds(calls: calls, units: rows))
    } else if outline.gateComputes || (isRoot && outline.lossesNeedRows) {
      set(
        .input,
        costs.input.seconds(
          calls: 0, units: isRoot && outline.lossesNeedRows ? Double(outline.batchRows) : gateRows))
    }
    if outline.gateComputes {
      set(.gate, costs.gateForward.seconds(calls: gateCalls, units: gateRows))
      if outline.trainsGate {
        set(.gateBackward, costs.gateBackward.seconds(calls: gateCalls, units: gateRows))
      }
    }
    set(.plan, costs.plan.seconds(units: Double(rank.shardRows)))
    set(.dispatch, costs.dispatch.seconds(units: rank.dispatchedBytes))
    set(
      .experts,
      costs.expertForward.seconds(calls: rank.expertCalls, units: rank.pairs)
        + costs.input.seconds(calls: 0, units: rank.tiledRows))
    set(.combine, costs.combine.seconds(units: rank.answerValues))
    let whole = Double(outline.batchRows)
    set(
      .loss,
      costs.loss.seconds(units: Double(rank.shardRows))
        + (isRoot ? costs.regularisers.seconds(calls: whole, units: whole * whole) : 0))
    if outline.trainsExperts {
      set(.returning, costs.returning.seconds(units: rank.answerValues))
      set(.expertBackward, costs.expertBackward.seconds(calls: rank.expertCalls, units: rank.pairs))
    }
    let gateParameters =
      outline.trainsGate && rank.gateBlocks > 0
      ? Double(outline.layers * outline.gateSize.parameterCount) : 0
    set(
      .optimiser,
      costs.optimiser.seconds(
        units: Double(outline.trunkParameters) + gateParameters + (outline.trainsExperts ? parameters : 0)))
    set(.metrics, isRoot ? costs.metrics.seconds(units: whole) : 0)
    set(.other, costs.other.perCall)
    return seconds
  }

  /// What crosses between ranks.
  private func wire(_ layout: StepLayout) -> [Double] {
    var seconds = [Double](repeating: 0, count: Phase.allCases.count)
    let ranks = layout.ranks
    guard ranks > 1 else { return seconds }
    func exchange(_ bytes: Double) -> Double { links.exchange(bytes: bytes, ranks: ranks) }
    let bytes = layout.bytes
    seconds[Phase.plan.index] = exchange(bytes.counts) + (outline.isDense ? 0 : exchange(bytes.positions))
    seconds[Phase.dispatch.index] = exchange(bytes.rows)
    seconds[Phase.combine.index] = exchange(bytes.answers) + links.star(bytes: bytes.reports, ranks: ranks)
    var barriers = 2
    if layout.gate == .root, outline.gateComputes {
      seconds[Phase.combine.index] += links.star(bytes: bytes.messages, ranks: ranks)
    }
    barriers += 1
    if !outline.rule.scorer.scoresAreMessage {
      seconds[Phase.combine.index] += links.star(bytes: bytes.scores, ranks: ranks)
      if outline.isRegularised {
        seconds[Phase.combine.index] += links.star(bytes: bytes.scores, ranks: ranks)
        barriers += 1
      }
    }
    if outline.trainsExperts {
      seconds[Phase.returning.index] = exchange(bytes.answers)
      barriers += 1
    }
    if layout.gate == .replicated, outline.trainsGate, outline.gateComputes {
      let sums = outline.gateNetwork?.combinedSums ?? (forward: [], backward: [])
      func combined(_ lengths: [Int]) -> Double {
        lengths.reduce(0) { $0 + links.allGather(bytes: 8 * Double($1), ranks: ranks) }
      }
      seconds[Phase.gate.index] = combined(sums.forward)
      seconds[Phase.gateBackward.index] =
        combined(sums.backward)
        + links.allReduce(
          bytes: 4 * Double(outline.gateSize.parameterCount), ranks: layout.gateRanks)
    }
    seconds[Phase.waiting.index] = Double(barriers) * links.barrier(ranks: ranks)
    // Every layer exchanges; rows' gradients travel like answers.
    guard outline.isDeep else { return seconds }
    seconds[Phase.returning.index] += exchange(bytes.rows)
    for phase in Phase.allCases { seconds[phase.index] *= Double(outline.layers) }
    seconds[Phase.trunkBackward.index] = links.allReduce(
      bytes: 4 * Double(outline.trunkParameters), ranks: min(ranks, outline.blocks))
    return seconds
  }
}
