internal import DataSets
internal import Dist
internal import Files
internal import KernelInterface
internal import MoE
internal import Networks
internal import Numerics
internal import Records

extension Trainer {
  func endEpoch() throws {
    position.epoch += 1
    position.rowsDone = 0
    let bytes = session.clock.traffic(of: .dispatch).bytesSent
    let moved = try communicator.allGather([Int64(bytes - bytesBefore)]).reduce(0, +)
    bytesBefore = bytes
    if isRoot {
      // A resumed epoch is timed from where it was resumed.
      var line = record(
        "train", sums.metrics(), seconds: epochSeconds,
        rate: epochSeconds > 0 ? Double(epochRowsTimed) / epochSeconds : nil)
      line.bytesDispatched = Int(moved)
      try publish(line, sums.metrics())
    }
    sums = session.emptyAccumulator()
    epochSeconds = 0
    epochRowsTimed = 0
    epochSteps = 0
    try evaluate("validation", data.train, split.validation)
    if isRoot {
      observer.epochEnded(epochLines)
      // The validation set where there is one: it has seen the end of the epoch alone.
      let gates = finalMetrics.last?.metrics.gates ?? []
      if let words = collapse.words(gates, epoch: position.epoch, configuration: configuration) {
        observer.advise(words.text(as: spelling))
      }
    }
    epochLines = []
  }

  func evaluateTest() throws {
    var wall =
      configuration.images && session.parts.hasGate && run != nil
      ? ImageWall(experts: session.parts.placement.experts) : nil
    let keepsSamples = session.parts.hasGate && directory != nil
    var choice = SampleChoice()
    try evaluate("test", data.test, (0..<data.test.count).map { Int32($0) }) { outcomes in
      if keepsSamples { choice.add(outcomes) }
      guard wall?.isFull == false else { return }
      for outcome in outcomes { wall?.add(Int32(outcome.sample), expert: outcome.expert) }
    }
    let taken = keepsSamples ? try keep(choice.samples) : 0
    if let picture = wall?.file(of: data.test, limit: ImageWall.limit - taken) {
      try run?.write(expertImages: picture)
      if let size = PNG.size(of: picture) {
        try run?.events?.append(
          picture: picture, size: size, channels: data.test.shape.channels, named: "expert_images",
          split: "test", step: position.step)
      }
    }
    if isRoot { observer.epochEnded(epochLines) }
    epochLines = []
  }

  /// Keeps the ways of some test samples, which rank 0 names. Collective.
  ///
  /// - Returns: bytes of images that were kept, on rank 0.
  private func keep(_ choice: [(sample: Int, reason: SampleChoice.Reason)]) throws -> Int {
    let named = try communicator.broadcast(text: choice.map { String($0.sample) }.joined(separator: " "))
    let samples = named.split(separator: " ").compactMap { Int32($0) }
    guard !samples.isEmpty else { return 0 }
    var details: [SampleDetail] = []
    _ = try session.uncounted {
      try session.clock.measure(.evaluation) {
        try session.evaluate(data.test, samples: samples, detail: { details += $0 })
      }
    }
    guard let run else { return 0 }
    let record = SampleRecord(
      details, reasons: choice.map(\.reason), images: configuration.images ? data.test : nil,
      epoch: position.epoch, step: position.step)
    try run.write(samples: record.json)
    return record.imageBytes
  }

  private func evaluate(
    _ split: String, _ images: ImageSet, _ samples: [Int32], each: (([SampleOutcome]) throws -> Void)? = nil
  ) throws {
    guard !samples.isEmpty else { return }
    let metrics = try session.uncounted {
      try session.clock.measure(.evaluation) { try session.evaluate(images, samples: samples, each: each) }
    }
    if let metrics {
      try publish(record(split, metrics, seconds: nil, rate: nil), metrics)
      try run?.write(tablesOf: metrics)
      try appendMaps(of: metrics, split)
      if split == "validation" {
        best = .best(of: best, epoch: position.epoch, error: metrics.error)
        retention?.validated(position, error: metrics.error)
      }
    }
  }

  /// Adds for TensorBoard which expert takes which classes, a picture per layer.
  private func appendMaps(of metrics: Metrics, _ split: String) throws {
    guard let events = run?.events else { return }
    for (layer, gate) in metrics.gates.enumerated() {
      guard let map = gate.hardTable.flatMap(ClassMap.init)?.picture else { continue }
      try events.append(
        picture: map.file, size: (map.width, map.height), channels: map.channels,
        named: layer == 0 ? "expert_class" : "layer_\(layer + 1)/expert_class", split: split,
        step: position.step)
    }
  }

  private func publish(_ line: MetricsRecord, _ metrics: Metrics) throws {
    finalMetrics.removeAll { $0.split == line.split }
    finalMetrics.append(RunSummary.SplitMetrics(split: line.split, metrics: metrics))
    epochLines.append(line)
    try record([line])
  }

  /// Adds lines to the record of the run, on rank 0.
  func record(_ lines: [MetricsRecord]) throws {
    guard let run else { return }
    try onStage(.records, position.step)
    try run.append(lines)
  }

  func record(_ split: String, _ metrics: Metrics, seconds: Double?, rate: Double?) -> MetricsRecord {
    let trains = split == "train" || split == "step"
    let outline = session.parts.outline
    let perRow =
      outline.layers
      * (outline.expertSpec.forwardFlops
        + (trains && session.parts.trainsExperts ? outline.expertBackwardFlops : 0))
    let experts = session.parts.placement.experts
    let rule = trains ? session.trainingRule : session.evaluationRule
    var line = MetricsRecord(epoch: position.epoch, step: position.step, split: split, metrics: metrics)
    line.lossNames = configuration.trainsGate ? configuration.routingLosses.map(\.name) : []
    line.seconds = seconds
    line.samplesPerSecond = rate
    line.expertFlops = metrics.rows * rule.routing.slots(experts: experts) * perRow
    line.denseFlops = metrics.rows * experts * perRow
    return line
  }

  // MARK: Patience

  /// Whether a run stands at the end of an epoch, and those of ``Configuration/patience`` have passed without a smaller
  /// validation error.
  var isPatienceOver: Bool {
    guard let patience = configuration.patience, let best, position.rowsDone == 0 else { return false }
    return best.isOver(patience: patience, epoch: position.epoch)
  }

  /// Why a run ends that is out of patience, on rank 0.
  var patienceWords: String? {
    guard let best else { return nil }
    let epochs = position.epoch - best.epoch
    return
      "no smaller validation error in \(epochs) epoch\(epochs == 1 ? "" : "s"); the best, \(fixed(best.error, 4)), was that "
      + "of epoch \(best.epoch)"
  }
}
