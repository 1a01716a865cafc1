internal import DataSets
internal import Dist
internal import KernelInterface
internal import MoE
internal import Networks
internal import Numerics
internal import Records

/// The step of a mixture whose experts answer for the classes: one layer on images, and what makes a likelihood of its
/// scores and answers.
final class FusedStep: Step {
  private let parts: ModelParts
  private let layer: MixtureLayer
  private let rule: StepRule
  private let seed: UInt64
  private let payload: Payload
  private let normalisation: Normalisation
  private let rank: Int
  private let clock: PhaseClock
  /// What the scorers get to know of rows.
  private let signals = Workspace()

  init(
    _ parts: ModelParts, rule: StepRule, configuration: Configuration, normalisation: Normalisation,
    training: Bool, communicator: any Communicator, clock: PhaseClock
  ) {
    self.parts = parts
    self.rule = rule
    seed = configuration.seed
    payload = configuration.payload
    self.normalisation = normalisation
    rank = communicator.rank
    self.clock = clock
    layer = parts.layers[0].mixture(
      rule, configuration, training: training, communicator: communicator, clock: clock)
  }

  func run(
    _ samples: ArraySlice<Int32>, of images: ImageView, epoch: Int, mode: StepMode, word: Float
  ) throws -> StepOutcome {
    let batch = layer.batch(rows: samples.count)
    let shard = batch.shard(of: rank)
    let labels = shard.map { images.labels[Int(samples[samples.startIndex + $0])] }
    let rows = ImageRows(
      images, samples: samples, shard: shard, payload: payload, normalisation: normalisation)
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
    let outcome = StepOutcome(
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
