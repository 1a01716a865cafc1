package import DataSets
package import Dist
package import KernelInterface
package import MoE
internal import Networks
package import Numerics
internal import Records

/// One training step of a mixture on images, and the forward half of it for evaluation: the layer, and what makes a
/// likelihood of its scores and answers.
///
/// Every rank calls ``run(_:of:at:word:)`` for the same batch; all ranks make the same sequence of collectives, whatever
/// their counts.
package final class Step {
  /// What rank 0 knows of a batch after its step.
  package struct Outcome {
    /// [E][B], nil on other ranks.
    package let scores: FeatureMap?
    /// [RowReport][B], nil on other ranks.
    package let report: FeatureMap?
    /// What the losses of the gate's choice said, on rank 0 in training.
    package let losses: [NamedValue]
    /// Rank 0's word of this step, on every rank.
    package let word: Float
    /// The largest word of all ranks, on rank 0.
    package let raised: Float
  }

  package enum Mode {
    case training(AdamStep)
    case evaluation
  }

  private let parts: ModelParts
  private let layer: MixtureLayer
  private let rule: StepRule
  private let seed: UInt64
  private let blockRows: Int
  private let payload: Payload
  private let normalisation: Normalisation
  private let rank: Int
  private let clock: PhaseClock
  /// What the scorers get to know of rows.
  private let signals = Workspace()

  package init(
    _ parts: ModelParts, rule: StepRule, configuration: Configuration, normalisation: Normalisation,
    training: Bool, communicator: any Communicator, clock: PhaseClock
  ) {
    self.parts = parts
    self.rule = rule
    seed = configuration.seed
    blockRows = configuration.blockRows
    payload = configuration.payload
    self.normalisation = normalisation
    rank = communicator.rank
    self.clock = clock
    let list = training ? configuration.routingLosses : []
    let losses =
      list.isEmpty ? nil : RoutingLosses(list, temperature: Float(configuration.temperature))
    layer = MixtureLayer(
      rule.layer, gate: parts.gate, trainsGate: parts.trainsGate, place: parts.place,
      experts: ExpertExchange(
        communicator, placement: parts.placement, bank: parts.bank, layout: rule.mixture.layout, clock: clock),
      blockRows: blockRows, losses: losses, communicator: communicator, clock: clock)
  }

  /// - Parameters:
  ///   - samples: the batch: the sample of every row.
  ///   - epoch: counted from 0; a key of random draws in training.
  ///   - word: what this rank has to say beside the data: rank 0 to all, every rank to rank 0.
  package func run(
    _ samples: ArraySlice<Int32>, of images: ImageView, epoch: Int = 0, mode: Mode, word: Float
  ) throws -> Outcome {
    let batch = layer.batch(rows: samples.count)
    let shard = batch.shard(of: rank)
    let labels = shard.map { images.labels[Int(samples[samples.startIndex + $0])] }
    let rows = ImageRows(
      images, samples: samples, shard: shard, payload: payload, normalisation: normalisation,
      blockRows: blockRows)
    var point = StepPoint(mode: .evaluation, seed: seed, epoch: epoch, samples: samples)
    if case .training = mode { point.mode = .training }
    var pass = try layer.forward(rows, batch, at: point, signal: signal(labels), word: word)

    // Mixture and loss, on the shard that holds the labels, by per-row arithmetic alone.
    let parcel = layer.parcel(pass, riders: RowReport.allCases.count)
    let report = parcel.riders.part(0..<RowReport.allCases.count)
    let gradients =
      point.isTraining ? layer.gradients(pass, detached: rule.mixture.hasTwoTemperatures) : nil
    let shardMixture = ShardMixture(
      scores: pass.scores, answers: pass.shard.answers, table: pass.table, labels: labels,
      batchRows: samples.count)
    try clock.measure(.loss) {
      shardMixture.run(rule.mixture, report: report, gradients: gradients, in: layer.workspace)
      guard let gradients else { return }
      layer.finish(
        gradients, pass, parcel, temperature: rule.mixture.temperature,
        rowLosses: report[RowReport.loss.rawValue])
    }
    let collected = try layer.collect(parcel, &pass, word: word)
    let outcome = Outcome(
      scores: pass.wholeScores, report: collected.riders?.part(0..<RowReport.allCases.count),
      losses: pass.losses, word: pass.word, raised: collected.word)
    guard case .training(let adam) = mode else { return outcome }

    try layer.backward(pass, slots: gradients?.answers, collected)
    try clock.measure(.optimiser) { try parts.update(adam) }
    return outcome
  }

  /// The class of every row, for scorers that are told.
  private func signal(_ labels: [UInt8]) -> FeatureMap {
    signals.reset()
    let map = signals.map(features: 1, rows: labels.count)
    for (row, label) in labels.enumerated() { map[0][row] = Float(label) }
    return map
  }
}
