package import DataSets
package import Dist
internal import Files
internal import KernelInterface
package import MoE
internal import Networks
internal import Numerics
package import Records

/// A model with the machinery to run it: one step for training, one for evaluation, over the same parameters.
package final class ModelSession {
  /// Rows of an evaluation batch; fixed, so that metrics do not depend on the training batch.
  package static let evaluationRows = 1024

  package let configuration: Configuration
  package let data: DataSet
  package let communicator: any Communicator
  package let parts: ModelParts
  package let clock: PhaseClock
  /// Nil when the model is only evaluated.
  package let trainingStep: (any Step)?
  package let evaluationStep: any Step
  /// The rules of the two steps.
  package let trainingRule: StepRule
  package let evaluationRule: StepRule
  private let reader: OutcomeReader
  /// An evaluation step that tells what every expert did and said.
  private let makeDetailStep: () -> any Step
  private lazy var detailStep = makeDetailStep()

  /// - Parameters load, place: as for ``ModelParts``.
  package init(
    _ configuration: Configuration, data: DataSet, communicator: any Communicator, training: Bool,
    clock: PhaseClock, load: PlacementLoad? = nil, place: (() -> any GatePlace)? = nil
  ) throws {
    BLAS.useOneThread()
    try ProcessorLevel.agree(over: communicator)
    self.configuration = configuration
    self.data = data
    self.communicator = communicator
    self.clock = clock
    try configuration.checkMemory(
      size: DataSetSize(data), hasData: true, training: training, load: load, over: communicator)
    let parts: ModelParts
    do {
      parts = try ModelParts(
        configuration, data: data, communicator: communicator, training: training, load: load, place: place)
    } catch let failure as Failure {
      // Configuration and data are the same on every rank, and so is what is wrong with them.
      throw AgreedError(failure)
    }
    self.parts = parts
    try communicator.agree(
      on: parts.team.shortage.map { Failure(.usage, "\(setting: "threads", configuration.threads): \($0)") })
    let experts = parts.placement.experts
    let normalisation = data.normalisation
    trainingRule = StepRule(configuration, gate: parts.gateRequest, training: true)
    evaluationRule = StepRule(configuration, gate: parts.gateRequest, training: false)
    func step(_ rule: StepRule, training: Bool, details: Bool = false) -> any Step {
      parts.head == nil
        ? FusedStep(
          parts, rule: rule, configuration: configuration, normalisation: normalisation, training: training,
          details: details, communicator: communicator, clock: clock)
        : DeepStep(
          parts, rule: rule, configuration: configuration, normalisation: normalisation, training: training,
          details: details, communicator: communicator, clock: clock)
    }
    trainingStep = training ? step(trainingRule, training: true) : nil
    evaluationStep = step(evaluationRule, training: false)
    let rule = evaluationRule
    makeDetailStep = { step(rule, training: false, details: true) }
    reader = OutcomeReader(
      experts: experts, hasGate: parts.hasGate, temperature: Float(configuration.temperature),
      batchRows: max(parts.outline.batchRows, ModelSession.evaluationRows))
  }

  /// Sums without a sample yet; see ``MetricsAccumulator``.
  package func emptyAccumulator(countsAnswers: Bool = false) -> MetricsAccumulator {
    MetricsAccumulator(
      experts: parts.hasGate ? parts.placement.experts : 0, classes: data.classes,
      layers: parts.layers.count, countsAnswers: countsAnswers)
  }

  /// Adds a batch to the sums, on rank 0.
  package func add(
    _ outcome: StepOutcome, _ samples: ArraySlice<Int32>, of images: ImageSet,
    to sums: inout MetricsAccumulator
  ) throws {
    guard communicator.rank == 0 else { return }
    let labels = samples.map { images.labels[Int($0)] }
    try clock.measure(.metrics) { try reader.add(outcome, labels: labels, step: clock.step, to: &sums) }
  }

  /// Evaluates the model on samples of a set, dropless, touching no state; metrics are complete on rank 0 only.
  ///
  /// - Parameters:
  ///   - each: receives the outcomes of every batch, on rank 0; nil where nobody wants them.
  ///   - detail: the same with what every expert did and said.
  package func evaluate(
    _ images: ImageSet, samples: [Int32], each: (([SampleOutcome]) throws -> Void)? = nil,
    detail: (([SampleDetail]) throws -> Void)? = nil
  ) throws -> Metrics? {
    guard !samples.isEmpty else { return nil }
    let view = ImageView(images)
    let step = detail == nil ? evaluationStep : detailStep
    var sums = emptyAccumulator(countsAnswers: true)
    for start in stride(from: 0, to: samples.count, by: ModelSession.evaluationRows) {
      let batch = samples[start..<min(start + ModelSession.evaluationRows, samples.count)]
      let outcome = try step.run(batch, of: view, epoch: 0, mode: .evaluation, word: 0)
      // A loss that is not finite is told first.
      try add(outcome, batch, of: images, to: &sums)
      guard communicator.rank == 0, each != nil || detail != nil else { continue }
      let labels = batch.map { images.labels[Int($0)] }
      if let each { try each(reader.samples(outcome, samples: batch, labels: labels)) }
      if let detail { try detail(reader.details(outcome, samples: batch, labels: labels)) }
    }
    return communicator.rank == 0 ? sums.metrics() : nil
  }

  /// Runs the body without counting its work and traffic: a run's account is about its training steps.
  package func uncounted<Result>(_ body: () throws -> Result) rethrows -> Result {
    let layers = parts.layers.map { layer in
      (
        work: layer.experts.map(\.work), gate: layer.gate?.work, rows: layer.bank.rowsSelected,
        carried: layer.carried.counts
      )
    }
    let shared = [parts.trunk, parts.head].map { $0?.work }
    let traffic = clock.traffic
    defer {
      for (layer, before) in zip(parts.layers, layers) {
        for (expert, work) in zip(layer.experts, before.work) { expert.work = work }
        if let work = before.gate { layer.gate?.work = work }
        layer.bank.rowsSelected = before.rows
        layer.carried.counts = before.carried
      }
      for (module, work) in zip([parts.trunk, parts.head], shared) {
        if let work { module?.work = work }
      }
      clock.traffic = traffic
    }
    return try body()
  }
}
