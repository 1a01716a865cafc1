public import Files

/// The checkpoint of a run after the epoch with the smallest validation error.
public struct BestCheckpoint: Equatable, Sendable {
  public let name: CheckpointName
  /// Share of the validation samples with the wrong class.
  public let validationError: Double
  /// How many checkpoints have a validation error.
  public let choices: Int

  /// Reads `metrics.jsonl` and looks which checkpoints are there; ties go to the earlier one.
  ///
  /// - Throws: ``Failure``: `.notFound` where no checkpoint has a validation error, `.badData` for damaged metrics.
  public init(of run: String) throws(Failure) {
    let errors = try Self.validationErrors(of: run)
    // Also what is no plain file: the best is refused by its name, and not passed by without a word.
    let known = try CheckpointDirectory(run).entries().map(\.name).filter { errors[$0] != nil }
    guard let best = Self.best(of: errors, among: known) else {
      throw Failure(
        .notFound,
        errors.isEmpty
          ? "\(run) has no validation error by which one of its checkpoints could be the best; train with a "
            + "\(setting: "validation-fraction") above 0, or take \(setting: "checkpoint") latest"
          : "\(run) has no checkpoint at the end of an epoch with a validation error; train with \(setting: "checkpoint-every") 1, "
            + "or take \(setting: "checkpoint") latest")
    }
    name = best.name
    validationError = best.error
    choices = known.count
  }

  /// The validation errors in `metrics.jsonl`, by the names that checkpoints of these epochs and steps have or would have.
  static func validationErrors(of run: String) throws(Failure) -> [CheckpointName: Double] {
    let file = run + "/metrics.jsonl"
    var errors: [CheckpointName: Double] = [:]
    // A run that is being written may have half a line at its end.
    let lines = try (SafeFile.read(file, limit: 1 << 30, followingLinks: false) ?? [])
      .split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast()
    for (number, line) in lines.enumerated() {
      guard let json = try? JSONValue(parsing: Array(line)) else {
        throw Failure(.badData, "\(file):\(number + 1): no JSON; the run's metrics are damaged")
      }
      guard json["split"]?.stringValue == "validation", let error = json["error"]?.numberValue,
        let epoch = json["epoch"]?.integerValue, let step = json["step"]?.integerValue, epoch >= 0, step >= 0
      else { continue }
      errors[CheckpointName(epochs: epoch, steps: step)] = error
    }
    return errors
  }

  /// The one with the smallest error; of equals the first.
  static func best(
    of errors: [CheckpointName: Double], among names: [CheckpointName]
  ) -> (name: CheckpointName, error: Double)? {
    let known = names.compactMap { name in errors[name].map { (name: name, error: $0) } }
    return known.min { ($0.error, $0.name) < ($1.error, $1.name) }
  }
}
