internal import DataSets
internal import Dist
internal import Files
internal import Records

extension Trainer {
  /// Continues where a checkpoint was written.
  ///
  /// - Parameter source: the run whose gate is distilled.
  func restore(_ file: CheckpointFile, teacher source: CheckpointFile?) throws {
    let path = file.path
    try TrainingState.checkData(file, data)
    guard file.metadata["teacher"] == source?.contentChecksum else {
      throw Failure(
        .badData,
        "\(path): its gate learns from the run with the checksum \(file.metadata["teacher"] ?? "none"), but "
          + "\(setting: "distill-from", source?.path ?? "was not given and so") has \(source?.contentChecksum ?? "none")"
      )
    }
    if let source { try TrainingState.teach(session.parts, from: source) }
    position = try TrainingState.position(file.metadata, file: path)
    guard position.rowsDone < split.train.count,
      case (let steps, let overflow) = position.epoch.multipliedReportingOverflow(by: stepsPerEpoch),
      !overflow,
      position.step - position.stepsBegun(batchSize: configuration.batchSize) == steps
    else {
      throw Failure(
        .badData,
        "\(path): \(position.step) steps cannot be \(position.epoch) epochs of \(stepsPerEpoch) steps and "
          + "\(position.rowsDone) samples")
    }
    best = try BestEpoch(file.metadata, file: path)
    try TrainingState.load(file, into: session.parts, state: true)
    if let text = file.metadata["epoch_sums"], communicator.rank == 0 {
      let stored = try MetricsAccumulator(text: text, file: path)
      guard let completed = stored.completed(like: sums) else {
        throw Failure(
          .badData, "\(path): metadata entry 'epoch_sums' is about another model than its tensors")
      }
      sums = completed
    }
  }

  /// Whether the settings ask for a checkpoint after this step, be it an epoch's last or not.
  var isSaveDueBySteps: Bool {
    let every = configuration.checkpointEverySteps
    return every > 0 && position.step % every == 0
  }

  /// Writes a checkpoint; a failure is a warning while training goes on, and an error at the end or the third time.
  @discardableResult
  func save(final: Bool = false) throws -> Bool {
    guard let directory else { return false }
    let parts = session.parts
    try communicator.agree(
      on: TrainingState.nonFinite(parts).map {
        Failure(
          .diverged, "tensor \($0) is not finite after step \(position.step); no checkpoint was written")
      })
    try parts.gatherState()
    let checkpoint = CheckpointName(epochs: position.epoch, steps: position.step)
    let name = checkpoint.fileName
    let begin = PhaseClock.now()
    do {
      _ = try session.clock.measure(.checkpoint) {
        try CheckpointWriter.write(
          directory: directory, fileName: name, tensors: TrainingState.tensors(of: parts),
          metadata: TrainingState.metadata(
            configuration: configuration, data: data, position: position, sums: sums, best: best,
            teacher: teacher),
          over: communicator, onPiece: beginPiece)
      }
    } catch let failure as Failure {
      failedSaves += 1
      if final || failedSaves >= 3 { throw AgreedError(failure) }
      if isRoot {
        observer.note(
          "checkpoint \(name) was not written: \(failure.words.text(as: spelling)); training goes on")
      }
      return false
    }
    failedSaves = 0
    lastSaveSeconds = PhaseClock.now() - begin
    lastCheckpoint = name
    if isRoot { observer.checkpointWritten(name) }
    prune(after: checkpoint)
    try writeStatus(.running)
    return true
  }

  /// An error before a piece of a checkpoint is one of writing it, which all ranks hear of.
  private func beginPiece() throws(Failure) {
    do {
      try onStage(.checkpointPiece, position.step)
    } catch {
      throw error as? Failure ?? Failure(.internalError, Message(error))
    }
  }

  /// Removes older checkpoints, on rank 0. The run does not depend on it: where one cannot be removed, all stay from then
  /// on.
  private func prune(after checkpoint: CheckpointName) {
    do throws(Failure) {
      try retention?.prune(after: checkpoint)
    } catch {
      retention = nil
      observer.note("older checkpoints stay: \(error.words.text(as: spelling))")
    }
  }
}
