package import KernelInterface

/// What a layer keeps of a forward pass. Valid until the next one.
package struct LayerPass {
  package let batch: BatchBlocks
  package let isTraining: Bool
  /// Message, answers by slot, and signal of this rank's shard.
  package let shard: ShardRows
  package internal(set) var choice: RoutingChoice
  /// Rank 0's word.
  package let word: Float
  let routed: ExpertExchange.Routed
  /// Of the experts here.
  let answers: [FeatureMap]
  /// What the losses of the gate's choice came to, on rank 0.
  package internal(set) var losses: [NamedValue] = []
  /// Their gradients of the scores, in the order in which they are added: on the shard, then on rank 0.
  var shardGradients: [FeatureMap] = []
  var rootGradient: FeatureMap?

  init(
    batch: BatchBlocks, isTraining: Bool, shard: ShardRows, choice: RoutingChoice, word: Float,
    routed: ExpertExchange.Routed, answers: [FeatureMap]
  ) {
    self.batch = batch
    self.isTraining = isTraining
    self.shard = shard
    self.choice = choice
    self.word = word
    self.routed = routed
    self.answers = answers
  }

  /// [experts][rows of the shard], those that weigh the answers.
  package var scores: FeatureMap { choice.scores.used }
  /// The experts of the slots; nil where slot = expert.
  package var table: SlotTable? { choice.table }
  /// [experts][B] on rank 0, as soon as it knows them; nil elsewhere.
  package var wholeScores: FeatureMap? { choice.whole }
}

/// How the rows of a shard were scored, and what was selected by it.
package struct RoutingChoice {
  /// Of the shard.
  package let scores: RoutingScores
  /// The experts of the slots; nil where slot = expert.
  package var table: SlotTable?
  /// The scores in use of the whole batch, on rank 0 as soon as it knows them; nil elsewhere.
  package var whole: FeatureMap?
  /// As the gate made them.
  var wholeClean: FeatureMap?
  /// Whether rank 0 knows the scores of all rows, on every rank.
  var rootKnows = false

  /// All that rank 0 knows of the whole batch; nil elsewhere.
  var wholeScores: RoutingScores? {
    guard let whole, let wholeClean else { return nil }
    return RoutingScores(clean: wholeClean, used: whole)
  }
}
