public import DataSets
public import Dist
public import Files
internal import KernelInterface
internal import MoE
internal import Networks
public import Records

/// Trains a model on all ranks: epochs of steps, evaluation, checkpoints, and an end that all ranks agree on.
public final class Trainer {
  /// What is trained; a similarity scale is a number here, whatever the user gave.
  public let configuration: Configuration
  let data: DataSet
  let communicator: any Communicator
  /// Where checkpoints and records go; nil: nothing is kept.
  let run: RunDirectory?
  let observer: any TrainingObserver
  private let resumedFrom: String?
  /// The model and its counters.
  package let session: ModelSession
  let split: ValidationSplit
  var position = RunPosition()
  var sums: MetricsAccumulator
  /// The epoch with the smallest validation error; up to date on rank 0.
  var best: BestEpoch?
  var epochSeconds = 0.0
  var epochRowsTimed = 0
  var bytesBefore = 0
  private var stepSeconds: [Double] = []
  var finalMetrics: [RunSummary.SplitMetrics] = []
  var epochLines: [MetricsRecord] = []
  var collapse = CollapseNotice()
  var epochSteps = 0
  private var samplesTrained = 0
  var lastCheckpoint: String?
  var failedSaves = 0
  let directory: String?
  /// What is removed after a checkpoint was written; nil: nothing, and on other ranks than 0.
  var retention: CheckpointRetention?
  let hosts: [String]
  /// How settings are spelled in what the run says.
  let spelling: Message.Spelling
  /// What the placement was chosen with; nil where FLOPs decided, or nothing was to be decided.
  let forecast: (any StepForecast)?
  private var began = RunPosition()
  /// SHA-256 of the run that is distilled.
  var teacher: String?
  let onStage: StageObserver
  private lazy var schedule = configuration.learningRates(stepsPerEpoch: stepsPerEpoch)
  let start = PhaseClock.now()
  var lastSaveSeconds = 0.0
  var controlSeen = 0.0
  /// The steps that are still to be traced; nil: none.
  var trace: TraceWindow?
  /// Of the ranks, as they were when a trace began.
  var clocks: ClockAlignment?

  /// - Parameters:
  ///   - directory: the run directory's path, on every rank; nil: nothing is kept.
  ///   - run: the run directory on rank 0, nil elsewhere.
  ///   - resume: the checkpoint to continue from; nil: from the start.
  ///   - opened: checkpoints that are open; what is named and not among them is opened by its path.
  ///   - forecast: what steps cost, the same on every rank; nil: the placement `auto` goes by FLOPs.
  ///   - spelling: of settings in notes and in the reason of a stop.
  ///   - onStage: called on every rank when a stage begins.
  /// - Throws: ``Failure`` for a checkpoint that does not fit.
  public init(
    configuration: Configuration, data: DataSet, communicator: any Communicator, directory: String?,
    run: RunDirectory?, resume: String?, opened: [CheckpointFile] = [], observer: any TrainingObserver,
    forecast: (any StepForecast)? = nil, spelling: Message.Spelling = .settings,
    onStage: @escaping StageObserver = { _, _ in }
  ) throws {
    let configuration = configuration.resolvingScale(of: data)
    self.configuration = configuration
    self.data = data
    self.communicator = communicator
    self.directory = directory
    self.run = run
    retention = run.flatMap { CheckpointRetention(of: $0.path, keeping: configuration.keep) }
    self.observer = observer
    self.spelling = spelling
    resumedFrom = resume
    hosts = try communicator.allGather(text: communicator.hostName)
    trace = configuration.trace.flatMap { _ in TraceWindow(configuration.traceSteps) }
    self.onStage = onStage
    let clock = PhaseClock(communicator) { try onStage(.phase($0), $1) }
    self.forecast = forecast
    session = try ModelSession(
      configuration, data: data, communicator: communicator, training: true, clock: clock,
      load: forecast?.load(gate: configuration.gatePlacement, ranks: communicator.size))
    split = ValidationSplit(labels: data.train.labels, fraction: configuration.validationFraction)
    sums = session.emptyAccumulator()
    session.parts.initialise(seed: configuration.seed)
    var failure: Failure?
    var notes: [Message] = []
    do {
      guard !split.train.isEmpty else {
        throw Failure(
          .usage,
          "\(setting: "validation-fraction", configuration.validationFraction) leaves none of the \(data.train.count) training "
            + "samples for training; take a smaller one")
      }
      guard configuration.patience == nil || !split.validation.isEmpty else {
        throw Failure(
          .usage,
          "\(setting: "patience") watches the validation error, but \(setting: "validation-fraction", configuration.validationFraction) holds "
            + "out none of the \(data.train.count) training samples; take a larger one")
      }
      func file(_ path: String) throws(Failure) -> CheckpointFile {
        if let file = opened.first(where: { $0.path == path }) { return file }
        return try CheckpointFile(path: path)
      }
      let source = try configuration.distillFrom.map(file)
      teacher = source?.contentChecksum
      if let resume {
        try restore(file(resume), teacher: source)
      } else if let source {
        try TrainingState.checkData(source, data)
        try TrainingState.distil(session.parts, from: source)
      } else {
        notes = try TrainingState.start(session.parts, configuration, open: file)
      }
    } catch let found as Failure {
      failure = found
    }
    try communicator.agree(on: failure)
    if isRoot { for note in notes { observer.note(note.text(as: spelling)) } }
    began = position
  }

  /// The rank of every expert.
  public var owners: [Int] { session.parts.placement.owners }

  /// Where the run stands.
  public var currentPosition: RunPosition { position }

  var isRoot: Bool { communicator.rank == 0 }
  var stepsPerEpoch: Int {
    (split.train.count + configuration.batchSize - 1) / configuration.batchSize
  }
  var totalSteps: Int {
    min(stepsPerEpoch * configuration.epochs, configuration.maxSteps ?? Int.max)
  }

  /// Trains to the end, or until all ranks agree to stop. Collective; the summary is complete on rank 0.
  ///
  /// - Throws: ``Failure`` when the loss is not finite or a checkpoint cannot be written.
  public func train() throws -> RunSummary {
    if isRoot { observer.started(try plan()) }
    try writeStatus(.running)
    let order = BatchOrder(samples: split.train, seed: configuration.seed, shuffle: configuration.shuffle)
    var stopped: Message?
    var saved: RunPosition?
    var raised: Float = 0
    // Every rank has read the same checkpoint; afterwards rank 0 says it.
    var isOutOfPatience = isPatienceOver && position.step < totalSteps
    epochs: while !isOutOfPatience, position.epoch < configuration.epochs, position.step < totalSteps {
      let samples = try session.clock.measure(.input) { order.permutation(epoch: position.epoch) }
      while position.rowsDone < samples.count, position.step < totalSteps {
        let batch = samples[
          position.rowsDone..<min(position.rowsDone + configuration.batchSize, samples.count)]
        try beginTrace()
        let outcome = try trainStep(batch, word: raised)
        try endTrace()
        let agreed = StopWord(outcome.word)
        raised = agreed == .save ? outcome.raised : max(raised, outcome.raised)
        // Who wanted a checkpoint in the same step gets this one.
        if agreed == .save, StopWord(raised) == .save { raised = 0 }
        if position.rowsDone == samples.count {
          if agreed == .save { raised = max(raised, agreed.rawValue) }
          break
        }
        stopped = agreed.reason
        if stopped != nil { break epochs }
        if isSaveDueBySteps || agreed == .save, position.step < totalSteps, try save() { saved = position }
      }
      guard position.rowsDone == samples.count else { break }
      try endEpoch()
      let agreed = try agreeToStop(raised)
      if StopWord(raised) == .save { raised = 0 }
      let due = configuration.checkpointEvery > 0 && position.epoch % configuration.checkpointEvery == 0
      if due || isSaveDueBySteps || agreed == .save, position.step < totalSteps, try save() {
        saved = position
      }
      guard position.step < totalSteps else { break }
      isOutOfPatience = agreed == .patience
      stopped = agreed.reason
      if stopped != nil { break }
    }
    if saved != position { try save(final: true) }
    try endTrace(isOver: true)
    if stopped == nil { try evaluateTest() }
    let state: RunState = stopped == nil ? .finished : .stopped
    let reason = isOutOfPatience ? patienceWords : stopped?.text(as: spelling)
    try writeStatus(state, reason: reason)
    return try summary(state, reason: reason)
  }

  private func status(_ state: RunState, reason: String? = nil) -> RunStatus {
    RunStatus(
      state: state, epoch: position.epoch, step: position.step, checkpoint: lastCheckpoint, reason: reason,
      stepsExecuted: position.step - began.step, resumedFrom: resumedFrom)
  }

  func writeStatus(_ state: RunState, reason: String? = nil) throws {
    try run?.write(status: status(state, reason: reason))
  }

  private func summary(_ state: RunState, reason: String?) throws -> RunSummary {
    let reports = try RankReports(session.parts, clock: session.clock, over: communicator)
    let loops = try communicator.allGather([PhaseClock.now() - start])
    let ending = status(state, reason: reason)
    guard isRoot else {
      return RunSummary(status: ending, metrics: [], timing: nil, account: nil, runDirectory: directory)
    }
    var timing = TimingTable(
      ranks: reports.seconds.indices.map {
        TimingTable.RankTimes(
          rank: $0, host: hosts[$0], seconds: reports.seconds[$0], loopSeconds: loops[$0],
          peakMemory: reports.peakMemory[$0])
      }, steps: position.step - began.step, samples: samplesTrained)
    timing.stepSeconds = stepSeconds.sorted()
    timing.prediction = prediction.map { TimingTable.Prediction(phases: $0.longest, step: $0.step) }
    let summary = RunSummary(
      status: ending, metrics: finalMetrics, timing: timing,
      account: reports.account(
        rows: samplesTrained, parts: session.parts,
        trained: session.parts.trainsExperts ? samplesTrained : 0,
        reasonForAll: session.trainingRule.scorer.reasonForAll),
      runDirectory: directory, oracleNote: configuration.oracleNote?.text(as: spelling))
    try run?.write(summary: summary)
    return summary
  }

  // MARK: Steps

  private func trainStep(_ batch: ArraySlice<Int32>, word raised: Float) throws -> StepOutcome {
    guard let step = session.trainingStep else { preconditionFailure("a trainer's session is for training") }
    session.clock.step = position.step
    let point = UpdatePoint(
      step: position.step + 1,
      learningRate: configuration.learningRate * schedule.factor(step: position.step + 1),
      weightDecay: configuration.weightDecay)
    let word = max(stopWord.rawValue, isRoot ? raised : 0)
    let begin = PhaseClock.now()
    let images = ImageView(
      data.train, augmentation: data.augmentation, seed: configuration.seed, epoch: position.epoch)
    let outcome = try step.run(
      batch, of: images, epoch: position.epoch, mode: .training(point), word: word)
    let duration = PhaseClock.now() - begin
    try session.add(outcome, batch, of: data.train, to: &sums)
    position.step += 1
    position.rowsDone += batch.count
    epochSeconds += duration
    epochRowsTimed += batch.count
    epochSteps += 1
    session.clock.trace?.add(step: position.step, from: begin, to: begin + duration)
    samplesTrained += batch.count
    if isRoot {
      stepSeconds.append(duration)
      try reportStep(outcome, batch, duration)
    }
    return outcome
  }

  private func reportStep(_ outcome: StepOutcome, _ batch: ArraySlice<Int32>, _ duration: Double) throws {
    let perStep = epochSeconds / Double(max(epochSteps, 1))
    observer.progress(
      StepProgress(
        epoch: position.epoch + 1, epochs: configuration.epochs, step: position.step, steps: totalSteps,
        loss: sums.meanLoss, samplesPerSecond: Double(epochRowsTimed) / epochSeconds,
        secondsRemaining: Double(totalSteps - position.step) * perStep, shares: sums.shares))
    guard configuration.logEvery > 0, position.step % configuration.logEvery == 0 else { return }
    var single = session.emptyAccumulator()
    try session.add(outcome, batch, of: data.train, to: &single)
    let rate = Double(batch.count) / duration
    try record([record("step", single.metrics(), seconds: duration, rate: rate)])
  }
}
