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
    let file = run + "/metrics.jsonl"
    var errors: [CheckpointName: Double] = [:]
    // A run that is being written may have half a line at its end.
    let lines = try (SafeFile.read(file, limit: 1 << 30) ?? [])
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
    let known = try CheckpointDirectory(run).list().compactMap { name in errors[name].map { (name, $0) } }
    guard let best = known.min(by: { ($0.1, $0.0) < ($1.1, $1.0) }) else {
      throw Failure(
        .notFound,
        errors.isEmpty
          ? "\(run) has no validation error by which one of its checkpoints could be the best; train with a "
            + "\(setting: "validation-fraction") above 0, or take \(setting: "checkpoint") latest"
          : "\(run) has no checkpoint at the end of an epoch with a validation error; train with \(setting: "checkpoint-every") 1, "
            + "or take \(setting: "checkpoint") latest")
    }
    name = best.0
    validationError = best.1
    choices = known.count
  }
}
