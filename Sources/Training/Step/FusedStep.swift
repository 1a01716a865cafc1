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
  /// How details ride to rank 0; nil: they stay.
  private let details: DetailLayout?

  /// - Parameter details: whether rank 0 is told what every expert did and said.
  init(
    _ parts: ModelParts, rule: StepRule, configuration: Configuration, normalisation: Normalisation,
    training: Bool, details: Bool = false, communicator: any Communicator, clock: PhaseClock
  ) {
    self.parts = parts
    self.details =
      details
      ? DetailLayout(classes: parts.classes, experts: parts.placement.experts, hasAnswers: true) : nil
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
    let reports = RowReport.allCases.count
    let parcel = layer.parcel(pass, riders: reports + (details?.features ?? 0))
    let report = parcel.riders.part(0..<reports)
    let told = details.map { $0.split(parcel.riders.part(reports..<reports + $0.features)) }
    let gradients =
      isTraining ? layer.gradients(pass, detached: rule.mixture.hasTwoTemperatures) : nil
    let shardMixture = ShardMixture(
      scores: pass.scores, answers: pass.shard.answers, table: pass.table, labels: batch.labels,
      batchRows: samples.count)
    try clock.measure(.loss) {
      shardMixture.run(
        rule.mixture, report: report, distribution: told?.distribution, gradients: gradients,
        in: layer.workspace)
      if let told {
        pass.writeParts(allRun: rule.routing.takesAll, into: told.parts)
        if let answers = told.answers {
          pass.writeAnswers(
            allRun: rule.routing.takesAll, rule.layout, into: answers, in: layer.workspace)
        }
      }
      guard let gradients else { return }
      layer.finish(
        gradients, pass, parcel, temperature: rule.mixture.temperature,
        rowLosses: report[RowReport.loss.rawValue])
    }
    let collected = try layer.collect(parcel, &pass, word: word)
    var outcome = StepOutcome(
      scores: [pass.wholeScores].compactMap { $0 }, report: collected.riders?.part(0..<reports),
      losses: pass.losses, word: pass.word, raised: collected.word)
    if let details, let riders = collected.riders {
      let told = details.split(riders.part(reports..<reports + details.features))
      outcome.details = BatchDetails(
        distribution: told.distribution, parts: [told.parts], answers: told.answers)
    }
    guard case .training(let update) = mode else { return outcome }

    try layer.backward(pass, slots: gradients?.answers, collected)
    try clock.measure(.optimiser) { try parts.update(update) }
    return outcome
  }
}
