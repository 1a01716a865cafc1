internal import Files
internal import Records

/// Where a run goes on: from which checkpoint, and under which settings.
struct ResumePoint {
  /// The checkpoint, which stays open; nil: the run begins at step 0.
  var checkpoint: CheckpointFile?
  /// What is to be said about how it was found, a sentence each.
  var notes: [Message] = []

  /// Finds the point that a user asked for.
  ///
  /// - Parameter directory: the run directory, where one was given.
  /// - Throws: ``Failure`` with the exit code for bad data for a checkpoint that is damaged or is not what its name and its
  ///   run say, and where none of those that are there is valid.
  init(_ resume: TrainingRun.Resume, of directory: String?) throws {
    switch resume {
    case .never: return
    case .checkpoint(let path):
      let file = try CheckpointFile(path: path)
      try Self.check(file)
      checkpoint = file
      notes += try RunDirectory.interruption(of: pathParts(of: path).directory).map { [Message($0)] } ?? []
    case .auto:
      guard let directory else {
        throw Failure(
          .usage, "\(setting: "resume") auto continues the run in \(setting: "run-dir"), which was not given")
      }
      guard RunDirectory.exists(directory) else { return }
      try RunDirectory.check(directory)
      var warnings: [Message] = []
      let file = try CheckpointDirectory(directory).newestValid(Self.check) { warnings.append($0) }
      notes += warnings
      if let interruption = try RunDirectory.interruption(of: directory) {
        let going = file.map { "; it goes on from \(pathParts(of: $0.path).name)" }
        notes.append(Message(interruption + (going ?? "; it has no checkpoint and begins again")))
      }
      checkpoint = file
    }
  }

  /// Checks that a whole file is a checkpoint that a run can go on from: that it has a position and a configuration, that
  /// these are those of its name, and that its settings are those of the run in whose directory it lies.
  static func check(_ file: CheckpointFile) throws(Failure) {
    let (directory, name) = pathParts(of: file.path)
    let position = try TrainingState.position(file.metadata, file: file.path)
    let stored = try Evaluator.configuration(of: file)
    if let named = CheckpointName(fileName: name),
      named != CheckpointName(epochs: position.epoch, steps: position.step)
    {
      throw Failure(
        .badData,
        "\(file.path): is of epoch \(position.epoch), step \(position.step), and not of its name; another file was put "
          + "in its place")
    }
    // Steps of an epoch are as many in each, and what is left over are those of the epoch that had begun.
    let (before, epoch) = (position.step - position.stepsBegun(batchSize: stored.batchSize), position.epoch)
    guard position.rowsDone < Int(Int32.max), before >= epoch,
      epoch == 0 ? before == 0 : before.isMultiple(of: epoch)
    else {
      throw Failure(
        .badData,
        "\(file.path): \(position.step) steps cannot be \(epoch) epochs and \(position.rowsDone) samples in batches of "
          + "\(stored.batchSize)")
    }
    _ = try BestEpoch(file.metadata, file: file.path)
    if let sums = file.metadata["epoch_sums"] { _ = try MetricsAccumulator(text: sums, file: file.path) }
    try checkRun(file, stored, directory)
  }

  /// A checkpoint of another run under a name of this one.
  private static func checkRun(
    _ file: CheckpointFile, _ stored: Configuration, _ directory: String
  ) throws(Failure) {
    let entries = try RunDirectory.settings(in: directory).entries
    guard !entries.isEmpty else { return }
    let run = try Configuration.resolve([ConfigurationLayer(entries: entries)]).configuration
    let given = Set(entries.map(\.key))
    let found = stored.difference(from: run) {
      // `dataset` stands for a number that the data give, and the checkpoint has that.
      let isNumberOfData = $0.key == "similarity-scale" && run.similarityScale == "dataset"
      return $0.effect == .values && given.contains($0.key) && !isNumberOfData
    }
    guard let found else { return }
    throw Failure(
      .badData,
      "\(file.path): was trained with \(found.key) \(found.own), but config.yaml of its run has \(found.other); it belongs "
        + "to another run, or config.yaml was changed")
  }
}
