internal import DataSets
internal import Dist
internal import Files
internal import Records
internal import Training

extension StudyRunner {
  /// Trains a run, or goes on with it, and keeps how it ended. Collective.
  ///
  /// - Throws: whatever ends a run other than divergence.
  func train(_ run: StudyRun, over group: any Communicator) throws {
    let path = directory.run(run.id)
    var source: String?
    if let from = run.source {
      let checkpoints = CheckpointDirectory(directory.run(from))
      guard let name = try checkpoints.latest() ?? checkpoints.list().last else {
        throw Failure(
          .notFound,
          "\(checkpoints.path) has no checkpoint, from which \(run.id) starts; remove it to train it again")
      }
      source = checkpoints.path(of: name)
    }
    var configuration = try run.configuration(source: source)
    configuration.runDirectory = path
    func file(_ path: String) throws(Failure) -> String { try CheckpointDirectory.open(at: path).path }
    configuration.initFrom = try configuration.initFrom.map(file)
    configuration.initExpertsFrom = try configuration.initExpertsFrom.map(file)
    let key = Self.dataKey(configuration)
    let data = try dataSets[key] ?? host.load(configuration)
    dataSets[key] = data
    var record = StudyRunRecord(run, configuration, data: data.fingerprints)
    if group.rank == 0 {
      try directory.check(run, against: record)
      record.seconds = try directory.record(of: run.id)?.seconds ?? 0
      // The record is there before the run is, so that whoever goes on with it knows what it is.
      try SafeFile.makeDirectories(path)
      try directory.write(record, of: run.id)
    }
    let began = PhaseClock.now()
    do {
      try train(run, configuration, data, over: group)
    } catch let error as any ProcessError where error.exitCode == ExitCode.diverged.rawValue {
      guard group.rank == 0 else { return }
      let words = Message(error).text(as: host.spelling)
      RunDirectory.writeError(in: path, rank: 0, host: "", code: error.exitCode, message: words)
      RunDirectory.writeFailure(in: path, state: .diverged, reason: words)
    }
    guard group.rank == 0 else { return }
    record.seconds += PhaseClock.now() - began
    try directory.write(record, of: run.id)
    if try state(of: run).isEnd { try report(nil) }
  }

  private func train(
    _ run: StudyRun, _ configuration: Configuration, _ data: DataSet, over group: any Communicator
  ) throws {
    var training = try TrainingRun(
      resolved: configuration, data: data, resume: .auto,
      origin: RunOrigin(
        command: host.command, versions: host.versions, buildFlags: host.buildFlags,
        environment: host.environment))
    training.spelling = host.spelling
    let observer = StudyRunObserver(stop: host.stopRequested) { [weak self] epoch, epochs in
      guard let self, PhaseClock.now() - lastReport > 10 else { return }
      try? report("\(run.id), epoch \(epoch)/\(epochs)")
    }
    let summary = try training.train(over: group, observer: observer)
    guard summary.state == .finished else { return }
    if group.rank == 0 { try CheckpointDirectory(directory.run(run.id)).prune(keeping: 1) }
    // What is opened next is there for all.
    try group.barrier()
    if run.isEvaluatedConditionally { try evaluateConditionally(run, data, group) }
  }

  /// Evaluates the arg-max expert alone on the test set. Collective.
  private func evaluateConditionally(
    _ run: StudyRun, _ data: DataSet, _ group: any Communicator
  ) throws {
    let checkpoints = CheckpointDirectory(directory.run(run.id))
    guard let name = try checkpoints.latest() else {
      throw Failure(.notFound, "\(checkpoints.path) has no checkpoint; remove it to train it again")
    }
    var request = EvaluationRequest(checkpoint: checkpoints.path(of: name))
    request.combine = .topK
    request.topK = 1
    // The chosen expert's answer is the model's.
    request.topKWeights = .renormalised
    let found = try Evaluator.evaluate(
      request, split: .test, trained: Evaluator.configuration(of: request.checkpoint), data: data,
      communicator: group)
    guard let metrics = found.metrics else { return }
    try SafeFile.replace("\(checkpoints.path)/conditional.json", metrics.json.text(pretty: true) + "\n")
  }
}

/// Watches a run of a study.
private final class StudyRunObserver: TrainingObserver {
  private let stop: () -> Bool
  private let step: (Int, Int) -> Void

  init(stop: @escaping () -> Bool, step: @escaping (Int, Int) -> Void) {
    self.stop = stop
    self.step = step
  }

  var stopRequested: Bool { stop() }
  func started(_ plan: RunPlan) {}
  func progress(_ progress: StepProgress) { step(progress.epoch, progress.epochs) }
  func epochEnded(_ records: [MetricsRecord]) {}
  func checkpointWritten(_ path: String) {}
  func note(_ text: String) {}
}
