internal import DataSets
internal import Dist
internal import KernelInterface
internal import MoE
internal import Networks
internal import Numerics
internal import Records

/// The step of a model with mixture layers inside a deeper network: trunk → layers, each added to its rows → head → loss.
///
/// Trunk and head are modules whose blocks are worked on by the ranks of their shards; their sums are those of the
/// replicated gate. What a layer gives is added to the rows that it takes, as in a transformer.
final class DeepStep: Step {
  private let parts: ModelParts
  private let trunk: any Module
  private let head: any Module
  private let layers: [MixtureLayer]
  private let rule: StepRule
  private let maker: BatchMaker
  private let rank: Int
  private let clock: PhaseClock
  private let workspace = Workspace()
  /// How details ride to rank 0; nil: they stay.
  private let details: DetailLayout?

  /// - Parameter details: whether rank 0 is told what every expert did.
  init(
    _ parts: ModelParts, rule: StepRule, configuration: Configuration, normalisation: Normalisation,
    training: Bool, details: Bool = false, communicator: any Communicator, clock: PhaseClock
  ) {
    guard let trunk = parts.trunk, let head = parts.head else {
      preconditionFailure("a deeper network has a trunk and a head")
    }
    self.parts = parts
    self.trunk = trunk
    self.head = head
    self.rule = rule
    self.details =
      details
      ? DetailLayout(classes: parts.classes, experts: parts.placement.experts, hasAnswers: false) : nil
    maker = BatchMaker(configuration, normalisation: normalisation, rank: communicator.rank)
    rank = communicator.rank
    self.clock = clock
    layers = parts.layers.map {
      $0.mixture(rule, configuration, training: training, communicator: communicator, clock: clock)
    }
  }

  /// What a step keeps of its forward pass; maps of blocks are those of this rank's shard.
  private struct Pass {
    let trunk: any ModulePass
    var layers: [MixturePass]
    let head: any ModulePass
    /// ln of the classes' probabilities, block by block.
    let answers: [FeatureMap]
  }

  func run(
    _ samples: ArraySlice<Int32>, of images: ImageView, epoch: Int, mode: StepMode, word: Float
  ) throws -> StepOutcome {
    workspace.reset()
    let batch = maker.batch(
      samples, of: images, epoch: epoch, mode: mode, layers[0].batch(rows: samples.count))
    var pass = try forward(batch, word: word)

    // Loss on the shard that holds the labels.
    let last = layers.count - 1
    let reports = RowReport.allCases.count
    let parcel = layers[last].parcel(pass.layers[last].layer, riders: reports + (details?.features ?? 0))
    let report = parcel.riders.part(0..<reports)
    let told = details.map { $0.split(parcel.riders.part(reports..<reports + $0.features)) }
    let answers = workspace.map(features: parts.classes, rows: batch.labels.count)
    answers.join(pass.answers)
    guard case .training(let update) = mode else {
      try clock.measure(.loss) {
        loss(answers, batch, report, nil, distribution: told?.distribution)
        told.map { pass.layers[last].layer.writeParts(allRun: rule.routing.takesAll, into: $0.parts) }
      }
      return try outcome(&pass, parcel, word: word)
    }
    let gradient = workspace.map(features: parts.classes, rows: batch.labels.count)
    try clock.measure(.loss) { loss(answers, batch, report, gradient) }
    let outcome = try backward(&pass, answers, gradient, parcel, report, word: word)
    try clock.measure(.optimiser) { try parts.update(update) }
    return outcome
  }

  // MARK: Forward

  private func forward(_ batch: StepBatch, word: Float) throws -> Pass {
    let mode = batch.point.mode
    _ = parts.base.begin(
      batch.blocks, message: workspace.map(features: 0, rows: batch.labels.count), in: workspace)
    let blocks = try clock.measure(.input) {
      batch.rows.blocks(batch.blocks.blocks(of: rank), of: batch.blocks, shared: nil, in: workspace)
    }
    let counts = blocks.map(\.rows)
    let pieces = blocks.map { _ in workspace.piece() }
    var rows = workspace.maps(features: trunk.outputs, rows: counts)
    let ofTrunk = try clock.measure(.trunk) {
      try trunk.forward(blocks, into: rows, taps: nil, mode: mode, in: pieces)
    }
    var mixed: [MixturePass] = []
    for (index, layer) in layers.enumerated() {
      var point = batch.point
      point.layer = ModelOutline.scope(layer: index)
      let pass = try layer.forward(
        rows, features: trunk.outputs, batch.blocks, through: rule.readout, at: point, signal: batch.signal,
        word: word)
      // The rows go past the layer, too.
      for (output, row) in zip(pass.outputs, rows) { kernels.add(row, to: output) }
      rows = pass.outputs
      mixed.append(pass)
    }
    let answers = workspace.maps(features: parts.classes, rows: counts)
    let logits = workspace.maps(features: parts.classes, rows: counts)
    let ofHead = try clock.measure(.trunk) {
      let pass = try head.forward(rows.map { .features($0) }, into: logits, taps: nil, mode: mode, in: pieces)
      for (values, result) in zip(logits, answers) { kernels.logSoftmax(values, scale: 1, into: result) }
      return pass
    }
    return Pass(trunk: ofTrunk, layers: mixed, head: ofHead, answers: answers)
  }

  private func loss(
    _ answers: FeatureMap, _ batch: StepBatch, _ report: FeatureMap, _ gradient: FeatureMap?,
    distribution: FeatureMap? = nil
  ) {
    let scores = workspace.map(features: 1, rows: batch.labels.count)
    scores.clear()
    let gradients = gradient.map {
      let ofScores = workspace.map(features: 1, rows: batch.labels.count)
      return MixtureGradients(gateScores: ofScores, expertScores: ofScores, answers: $0)
    }
    ShardMixture(
      scores: scores, answers: answers, table: nil, labels: batch.labels, batchRows: batch.blocks.rows
    ).run(
      rule.mixture, report: report, distribution: distribution, gradients: gradients, in: workspace)
  }

  // MARK: Backward

  private func backward(
    _ pass: inout Pass, _ answers: FeatureMap, _ gradient: FeatureMap, _ parcel: LayerParcel,
    _ report: FeatureMap, word: Float
  ) throws -> StepOutcome {
    let counts = pass.answers.map(\.rows)
    var current = workspace.maps(features: head.inputs, rows: counts)
    try clock.measure(.trunkBackward) {
      kernels.logSoftmaxGradient(gradient, logProbabilities: answers)
      let logits = workspace.maps(features: parts.classes, rows: counts)
      gradient.split(into: logits)
      try head.backward(pass.head, gradients: logits, taps: nil, inputs: current)
    }
    let last = layers.count - 1
    var told: CollectedParcels?
    for (index, layer) in layers.enumerated().reversed() {
      let isLast = index == last
      let rows = workspace.maps(features: trunk.outputs, rows: counts)
      let collected = try layer.backward(
        &pass.layers[index], gradients: current, through: rule.readout, into: rows,
        handing: isLast ? parcel : layer.parcel(pass.layers[index].layer, riders: 0),
        rowLosses: isLast ? report[RowReport.loss.rawValue] : nil, word: isLast ? word : 0)
      if isLast { told = collected }
      for (row, past) in zip(rows, current) { kernels.add(past, to: row) }
      current = rows
    }
    try clock.measure(.trunkBackward) {
      try trunk.backward(pass.trunk, gradients: current, taps: nil, inputs: nil)
    }
    guard let told else { preconditionFailure("there is a layer") }
    return outcome(pass.layers, told)
  }

  // MARK: What rank 0 is told

  /// Of an evaluation: nothing comes back but scores, report and details.
  private func outcome(_ pass: inout Pass, _ parcel: LayerParcel, word: Float) throws -> StepOutcome {
    let last = layers.count - 1
    var parts: [FeatureMap] = []
    for index in 0..<last {
      let handed = layers[index].parcel(pass.layers[index].layer, riders: details?.experts ?? 0)
      if let details {
        pass.layers[index].layer.writeParts(
          allRun: rule.routing.takesAll, into: handed.riders.part(0..<details.experts))
      }
      let collected = try layers[index].collect(handed, &pass.layers[index].layer, word: 0)
      if let details, let riders = collected.riders { parts.append(riders.part(0..<details.experts)) }
    }
    let collected = try layers[last].collect(parcel, &pass.layers[last].layer, word: word)
    var outcome = outcome(pass.layers, collected)
    if let details, let riders = collected.riders {
      let reports = RowReport.allCases.count
      let told = details.split(riders.part(reports..<reports + details.features))
      outcome.details = BatchDetails(
        distribution: told.distribution, parts: parts + [told.parts], answers: nil)
    }
    return outcome
  }

  private func outcome(_ layers: [MixturePass], _ collected: CollectedParcels) -> StepOutcome {
    StepOutcome(
      scores: layers.compactMap(\.layer.wholeScores),
      report: collected.riders?.part(0..<RowReport.allCases.count),
      losses: [NamedValue](sums: layers.map(\.losses)), word: layers[0].layer.word, raised: collected.word)
  }
}
