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
  private let seed: UInt64
  private let payload: Payload
  private let normalisation: Normalisation
  private let rank: Int
  private let clock: PhaseClock
  private let workspace = Workspace()

  init(
    _ parts: ModelParts, rule: StepRule, configuration: Configuration, normalisation: Normalisation,
    training: Bool, communicator: any Communicator, clock: PhaseClock
  ) {
    guard let trunk = parts.trunk, let head = parts.head else {
      preconditionFailure("a deeper network has a trunk and a head")
    }
    self.parts = parts
    self.trunk = trunk
    self.head = head
    self.rule = rule
    seed = configuration.seed
    payload = configuration.payload
    self.normalisation = normalisation
    rank = communicator.rank
    self.clock = clock
    layers = parts.layers.map {
      $0.mixture(rule, configuration, training: training, communicator: communicator, clock: clock)
    }
  }

  /// What a step keeps of its forward pass; maps of blocks are those of this rank's shard.
  private struct Pass {
    let batch: BatchBlocks
    let blocks: Range<Int>
    let pieces: [Workspace]
    var trunk: any ModulePass
    /// What goes into every layer and out of the last, block by block.
    var rows: [[FeatureMap]]
    var layers: [LayerPass] = []
    var head: (any ModulePass)?
    /// ln of the classes' probabilities, block by block.
    var answers: [FeatureMap] = []
  }

  func run(
    _ samples: ArraySlice<Int32>, of images: ImageView, epoch: Int, mode: StepMode, word: Float
  ) throws -> StepOutcome {
    workspace.reset()
    let batch = layers[0].batch(rows: samples.count)
    let shard = batch.shard(of: rank)
    let labels = shard.map { images.labels[Int(samples[samples.startIndex + $0])] }
    var point = StepPoint(mode: .evaluation, seed: seed, epoch: epoch, samples: samples)
    if case .training = mode { point.mode = .training }
    let rows = ImageRows(
      images, samples: samples, shard: shard, payload: payload, normalisation: normalisation)
    var pass = try forward(rows, batch, labels, at: point, word: word)

    // Loss on the shard that holds the labels.
    let last = layers.count - 1
    let parcel = layers[last].parcel(pass.layers[last], riders: RowReport.allCases.count)
    let report = parcel.riders.part(0..<RowReport.allCases.count)
    let answers = wide(pass.answers, features: parts.classes, rows: shard.count)
    let gradient = point.isTraining ? workspace.map(features: parts.classes, rows: shard.count) : nil
    try clock.measure(.loss) { loss(answers, labels, samples.count, report, gradient) }

    guard case .training(let adam) = mode, let gradient else {
      return try outcome(&pass, parcel, word: word)
    }
    let outcome = try backward(&pass, answers, gradient, parcel, report, word: word)
    try clock.measure(.optimiser) { try parts.update(adam) }
    return outcome
  }

  // MARK: Forward

  private func forward(
    _ images: ImageRows, _ batch: BatchBlocks, _ labels: [UInt8], at point: StepPoint, word: Float
  ) throws -> Pass {
    _ = parts.base.begin(batch, message: workspace.map(features: 0, rows: labels.count), in: workspace)
    let numbers = batch.blocks(of: rank)
    let blocks = try clock.measure(.input) {
      images.blocks(numbers, of: batch, shared: nil, in: workspace)
    }
    let pieces = blocks.map { _ in workspace.piece() }
    func maps(_ features: Int) -> [FeatureMap] {
      zip(blocks, pieces).map { $1.map(features: features, rows: $0.rows) }
    }
    let first = maps(trunk.outputs)
    var pass = Pass(
      batch: batch, blocks: numbers, pieces: pieces,
      trunk: try clock.measure(.trunk) {
        try trunk.forward(blocks, into: first, taps: nil, mode: point.mode, in: pieces)
      }, rows: [first])
    let signal = workspace.map(features: 1, rows: labels.count)
    for (row, label) in labels.enumerated() { signal[0][row] = Float(label) }
    for (index, layer) in layers.enumerated() {
      let inputs = pass.rows[index]
      let rows = HiddenRows(inputs, first: numbers.lowerBound, features: trunk.outputs, in: workspace)
      var point = point
      point.layer = ModelOutline.scope(layer: index)
      let mixed = try layer.forward(rows, batch, at: point, signal: signal, word: word)
      pass.layers.append(mixed)
      try clock.measure(.combine) {
        let outputs = workspace.map(features: trunk.outputs, rows: labels.count)
        rule.combine.forward(slots(mixed), into: outputs, in: workspace)
        pass.rows.append(add(outputs, to: inputs, in: pieces))
      }
    }
    pass.answers = maps(parts.classes)
    let logits = maps(parts.classes)
    try clock.measure(.trunk) {
      pass.head = try head.forward(
        pass.rows[layers.count].map { .features($0) }, into: logits, taps: nil, mode: point.mode, in: pieces)
      for (values, result) in zip(logits, pass.answers) { kernels.logSoftmax(values, scale: 1, into: result) }
    }
    return pass
  }

  private func slots(_ pass: LayerPass) -> SlotView {
    SlotView(scores: pass.scores, answers: pass.shard.answers, layout: rule.layout, table: pass.table)
  }

  /// What a layer gave, added to its rows block by block.
  private func add(_ outputs: FeatureMap, to rows: [FeatureMap], in pieces: [Workspace]) -> [FeatureMap] {
    let parts = cut(outputs, like: rows, in: pieces)
    for (part, row) in zip(parts, rows) { kernels.add(row, to: part) }
    return parts
  }

  private func loss(
    _ answers: FeatureMap, _ labels: [UInt8], _ batchRows: Int, _ report: FeatureMap, _ gradient: FeatureMap?
  ) {
    let scores = workspace.map(features: 1, rows: labels.count)
    scores.clear()
    let gradients = gradient.map {
      let ofScores = workspace.map(features: 1, rows: labels.count)
      return MixtureGradients(gateScores: ofScores, expertScores: ofScores, answers: $0)
    }
    ShardMixture(scores: scores, answers: answers, table: nil, labels: labels, batchRows: batchRows)
      .run(rule.mixture, report: report, gradients: gradients, in: workspace)
  }

  // MARK: Backward

  private func backward(
    _ pass: inout Pass, _ answers: FeatureMap, _ gradient: FeatureMap, _ parcel: LayerParcel,
    _ report: FeatureMap, word: Float
  ) throws -> StepOutcome {
    let pieces = pass.pieces
    guard let ofHead = pass.head else { preconditionFailure("the head has been run") }
    var current = try clock.measure(.trunkBackward) {
      kernels.logSoftmaxGradient(gradient, logProbabilities: answers)
      let logits = cut(gradient, like: pass.answers, in: pieces)
      let rows = zip(logits, pieces).map { $1.map(features: head.inputs, rows: $0.rows) }
      try head.backward(ofHead, gradients: logits, taps: nil, inputs: rows)
      return rows
    }
    var told: CollectedParcels?
    for index in layers.indices.reversed() {
      let layer = layers[index]
      let isLast = index == layers.count - 1
      let mixed = pass.layers[index]
      let handed = isLast ? parcel : layer.parcel(mixed, riders: 0)
      let outputs = wide(current, features: trunk.outputs, rows: mixed.scores.rows)
      let gradients = layer.gradients(mixed, detached: false)
      try clock.measure(.loss) {
        rule.combine.backward(slots(mixed), outputs: outputs, into: gradients, in: workspace)
        layer.finish(
          gradients, mixed, handed, temperature: rule.temperature,
          rowLosses: isLast ? report[RowReport.loss.rawValue] : workspace.floats(report.columns))
      }
      let collected = try layer.collect(handed, &pass.layers[index], word: isLast ? word : 0)
      if isLast { told = collected }
      let rows = workspace.map(features: trunk.outputs, rows: mixed.scores.rows)
      try layer.backward(pass.layers[index], slots: gradients.answers, collected, rows: rows)
      // The rows go past the layer, too.
      kernels.add(outputs, to: rows)
      rows.clearPadding()
      current = cut(rows, like: current, in: pieces)
    }
    try clock.measure(.trunkBackward) {
      try trunk.backward(pass.trunk, gradients: current, taps: nil, inputs: nil)
    }
    guard let told else { preconditionFailure("there is a layer") }
    return outcome(pass.layers, told)
  }

  // MARK: What rank 0 is told

  /// Of an evaluation: nothing comes back but scores and report.
  private func outcome(_ pass: inout Pass, _ parcel: LayerParcel, word: Float) throws -> StepOutcome {
    let last = layers.count - 1
    for index in 0..<last {
      _ = try layers[index].collect(
        layers[index].parcel(pass.layers[index], riders: 0), &pass.layers[index], word: 0)
    }
    let collected = try layers[last].collect(parcel, &pass.layers[last], word: word)
    return outcome(pass.layers, collected)
  }

  private func outcome(_ layers: [LayerPass], _ collected: CollectedParcels) -> StepOutcome {
    StepOutcome(
      scores: layers[0].wholeScores, report: collected.riders?.part(0..<RowReport.allCases.count),
      losses: [NamedValue](sums: layers.map(\.losses)), word: layers[0].word, raised: collected.word)
  }

  // MARK: Blocks and shards

  /// The columns of blocks side by side.
  private func wide(_ blocks: [FeatureMap], features: Int, rows: Int) -> FeatureMap {
    let map = workspace.map(features: features, rows: rows)
    var first = 0
    for block in blocks {
      for feature in 0..<features { (map[feature] + first).update(from: block[feature], count: block.rows) }
      first += block.rows
    }
    map.clearPadding()
    return map
  }

  /// The columns of a shard as maps of its blocks, zero behind the last row.
  private func cut(_ map: FeatureMap, like blocks: [FeatureMap], in pieces: [Workspace]) -> [FeatureMap] {
    var first = 0
    var parts: [FeatureMap] = []
    for (block, piece) in zip(blocks, pieces) {
      let part = piece.map(features: map.features, rows: block.rows)
      for feature in 0..<map.features { part[feature].update(from: map[feature] + first, count: block.rows) }
      part.clearPadding()
      parts.append(part)
      first += block.rows
    }
    return parts
  }
}
