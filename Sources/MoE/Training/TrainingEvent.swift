/// Which samples a record speaks of.
public enum Split: String, CaseIterable, Sendable {
  case train
  case validation
  case test
  /// One training batch.
  case step
}

/// One record of a run: what a line of metrics.jsonl holds.
public struct EpochRecord: Sendable {
  /// Completed epochs and steps.
  public let epoch: Int
  public let step: Int
  public let split: Split
  public let metrics: Metrics
  /// Seconds and rate of the training steps; nil for an evaluation.
  public let seconds: Double?
  public let samplesPerSecond: Double?
  /// FLOPs of the experts that ran, forward and backward, and of all experts on the same samples.
  public let expertFlops: Int
  public let denseFlops: Int
  /// Bytes of samples that crossed between ranks.
  public let bytesDispatched: Int
}

/// Where a run stands.
public struct RunPosition: Equatable, Sendable {
  /// Completed epochs.
  public var epoch = 0
  /// Completed steps of the run.
  public var step = 0
  /// Rows of the current epoch that were trained on.
  public var rowsDone = 0

  public init() {}
}

/// What the trainer tells rank 0 while it works.
public enum TrainingEvent: Sendable {
  case record(EpochRecord)
  /// After a step: position, steps of an epoch, steps to the end, the step's loss.
  case progress(RunPosition, stepsPerEpoch: Int, totalSteps: Int, loss: Double)
  case checkpoint(fileName: String, RunPosition)
  case note(String)
}

/// How a run ended.
public struct TrainingResult: Sendable {
  public enum Ending: Equatable, Sendable {
    case finished
    /// Stopped early, resumable; the reason in words.
    case stopped(String)
  }

  public let ending: Ending
  public let position: RunPosition
  /// Steps that this process did.
  public let stepsExecuted: Int
  /// The checkpoint that holds the final parameters; nil where nothing is kept.
  public let checkpoint: String?
  /// The last record of every split, on rank 0.
  public let finalRecords: [EpochRecord]
  /// Seconds of every training step, on rank 0.
  public let stepSeconds: [Double]
  /// Seconds from the first step to the end of the run, evaluation and checkpoints included.
  public let loopSeconds: Double
}
