internal import KernelInterface
internal import MoE
internal import Training

/// What each kind of rank has of a step: rank 0, the fullest other rank, and the bytes of the busiest.
struct StepLayout {
  struct Rank {
    let isRoot: Bool
    let experts: Int
    let shardBlocks: Int
    let shardRows: Int
    let gateBlocks: Int
    let gateRows: Int
    /// Experts with rows.
    let expertCalls: Double
    let pairs: Double
    /// Rows that experts turn into tiles.
    let tiledRows: Double
    /// Rows that arrive.
    let arrived: Double
    /// Bytes of rows, packed and received.
    let dispatchedBytes: Double
    /// Values of answers, packed and received.
    let answerValues: Double
  }

  /// Bytes that the busiest rank sends or receives of others, or that a star moves in all.
  struct Bytes {
    var counts = 0.0
    var positions = 0.0
    var rows = 0.0
    var answers = 0.0
    var messages = 0.0
    var reports = 0.0
    var scores = 0.0
  }

  let ranks: Int
  let gate: GatePlacement
  /// Ranks that compute the gate.
  let gateRanks: Int
  let first: Rank
  let other: Rank
  let bytes: Bytes
  /// Bytes that cross between ranks in all, per step: rows, answers, gradients of answers.
  let crossingRows: Double
  let crossingAnswers: Double

  init(_ outline: ModelOutline, ranks: Int, gate: GatePlacement, expertsOnFirst n: Int) {
    self.ranks = ranks
    self.gate = gate
    let blocks = outline.blocks
    let batch = Double(outline.batchRows)
    let m = PlacementLoad.fullest(outline.experts, beside: n, ranks: ranks)
    gateRanks = !outline.gateComputes ? 0 : gate == .root ? 1 : min(ranks, blocks)
    // Ranks with experts; every one gets a row of a dense step.
    let owners = (n > 0 ? 1 : 0) + (ranks > 1 ? min(ranks - 1, outline.experts - n) : 0)

    /// The share of rows of which a rank with so many experts gets a copy, if the k experts are drawn evenly.
    func reach(_ count: Int) -> Double {
      if outline.isDense { return count > 0 ? 1 : 0 }
      var none = 1.0
      for draw in 0..<outline.slots {
        none *= max(0, 1 - Double(count) / Double(outline.experts - draw))
      }
      return 1 - none
    }
    // Copies of a row that leave a shard.
    let others = Double(owners - (n > 0 ? 1 : 0))
    let copies =
      reach(n) + others * reach(others > 0 ? Int((Double(outline.experts - n) / others).rounded()) : 0)

    func rank(_ count: Int, blocks mine: Int, isRoot: Bool) -> Rank {
      let shard = min(mine * outline.blockRows, outline.batchRows)
      let pairs = batch * Double(outline.slots) * Double(count) / Double(outline.experts)
      let gateBlocks = !outline.gateComputes ? 0 : gate == .replicated ? mine : isRoot ? blocks : 0
      let arrived = batch * reach(count)
      return Rank(
        isRoot: isRoot, experts: count, shardBlocks: mine, shardRows: shard, gateBlocks: gateBlocks,
        gateRows: min(gateBlocks * outline.blockRows, outline.batchRows),
        expertCalls: min(Double(count), pairs), pairs: pairs,
        tiledRows: outline.isDeep ? 0 : outline.isDense ? arrived : pairs, arrived: arrived,
        dispatchedBytes: (Double(shard) * (outline.isDense ? 1 : copies) + arrived)
          * Double(outline.rowBytes),
        answerValues: (pairs + Double(shard * outline.slots)) * Double(outline.answerWidth))
    }
    first = rank(n, blocks: blocks / ranks, isRoot: true)
    other = rank(m, blocks: (blocks + ranks - 1) / ranks, isRoot: false)

    var bytes = Bytes()
    let width = 4 * Double(outline.answerWidth)
    for rank in ranks > 1 ? [first, other] : [] {
      let shard = Double(rank.shardRows)
      let share = shard / batch
      let own = Double(rank.experts) / Double(outline.experts)
      let sent = shard * (copies - reach(rank.experts))
      let received = rank.arrived * (1 - share)
      bytes.rows = max(bytes.rows, max(sent, received) * Double(outline.rowBytes))
      let asked = shard * Double(outline.slots) * (1 - own)
      let answered = rank.pairs * (1 - share)
      bytes.answers = max(bytes.answers, max(asked, answered) * width)
      bytes.positions = max(bytes.positions, max(asked, answered) * 4)
    }
    bytes.counts = 4 * Double(ranks - 1 + outline.experts)
    let away = batch * 4 * (1 - Double(first.shardRows) / batch)
    let scorer = outline.rule.scorer
    bytes.messages = away * Double(scorer.messageFeatures)
    bytes.reports =
      away
      * Double(
        RowReport.allCases.count + (gate == .root && outline.trainsGate ? scorer.gradientFeatures : 0))
    bytes.scores = away * Double(outline.experts)
    self.bytes = bytes
    // A row crosses to every rank that has an expert for it, except its own shard's.
    let crossing = ranks > 1 ? Double(ranks - 1) / Double(ranks) : 0
    let layers = Double(outline.layers)
    crossingRows = layers * batch * copies * Double(outline.rowBytes) * crossing
    crossingAnswers = layers * batch * Double(outline.slots) * width * crossing
  }
}
