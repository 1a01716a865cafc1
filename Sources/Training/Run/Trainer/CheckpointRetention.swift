package import Files
package import Records

/// Which checkpoints of a run stay when a new one is written: the newest, the one with the smallest validation error of
/// those that were kept, as ``BestCheckpoint`` has it, and what `latest` names.
package struct CheckpointRetention {
  private let directory: CheckpointDirectory
  /// How many of the newest.
  private let count: Int
  private var best: (name: CheckpointName, error: Double)?
  private var isBestKnown = false
  /// The last validation: the name that a checkpoint of its step has, and its error.
  private var validation: (name: CheckpointName, error: Double)?

  /// - Parameter count: 0: all stay.
  package init?(of run: String, keeping count: Int) {
    guard count > 0 else { return nil }
    directory = CheckpointDirectory(run)
    self.count = count
  }

  /// Takes note of a validation.
  package mutating func validated(_ position: RunPosition, error: Double) {
    validation = (CheckpointName(epochs: position.epoch, steps: position.step), error)
  }

  /// Removes what need not stay, after a checkpoint was written.
  ///
  /// - Throws: ``Failure`` where the best cannot be known or one cannot be removed; what is there then stays.
  package mutating func prune(after name: CheckpointName) throws(Failure) {
    if !isBestKnown {
      best = try bestOfRecord()
      isBestKnown = true
    } else if let validation, validation.name == name, best.map({ validation.error < $0.error }) ?? true {
      best = validation
    }
    try directory.prune(keeping: count, except: best.map { [$0.name] } ?? [])
  }

  /// The best by the run's metrics, which are read once, and have the new one already.
  private func bestOfRecord() throws(Failure) -> (name: CheckpointName, error: Double)? {
    do {
      let best = try BestCheckpoint(of: directory.path)
      return (best.name, best.validationError)
    } catch {
      guard error.code == .notFound else { throw error }
      return nil
    }
  }
}
