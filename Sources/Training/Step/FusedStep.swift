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
  private let maker: BatchMaker
  private let clock: PhaseClock

  init(
    _ parts: ModelParts, rule: StepRule, configuration: Configuration, normalisation: Normalisation,
    training: Bool, communicator: any Communicator, clock: PhaseClock
  ) {
    self.parts = parts
    self.rule = rule
    maker = BatchMaker(configuration, normalisation: normalisation, rank: communicator.rank)
    self.clock = clock
    layer = parts.layers[0].mixture(
      rule, configuration, training: training, communicator: communicator, clock: clock)
  }

  func run(
    _ samples: ArraySlice<Int32>, of images: ImageView, epoch: Int, mode: StepMode, word: Float
  ) throws -> StepOutcome {
    let batch = maker.batch(
      samples, of: images, epoch: epoch, mode: mode, layer.batch(rows: samples.count))
    let isTraining = batch.point.isTraining
    var pass = try layer.forward(
      batch.rows, batch.blocks, at: batch.point, signal: batch.signal, word: word)

    // Mixture and loss, on the shard that holds the labels, by per-row arithmetic alone.
    let parcel = layer.parcel(pass, riders: RowReport.allCases.count)
    let report = parcel.riders.part(0..<RowReport.allCases.count)
    let gradients =
      isTraining ? layer.gradients(pass, detached: rule.mixture.hasTwoTemperatures) : nil
    let shardMixture = ShardMixture(
      scores: pass.scores, answers: pass.shard.answers, table: pass.table, labels: batch.labels,
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
      scores: [pass.wholeScores].compactMap { $0 },
      report: collected.riders?.part(0..<RowReport.allCases.count),
      losses: pass.losses, word: pass.word, raised: collected.word)
    guard case .training(let update) = mode else { return outcome }

    try layer.backward(pass, slots: gradients?.answers, collected)
    try clock.measure(.optimiser) { try parts.update(update) }
    return outcome
  }
}
