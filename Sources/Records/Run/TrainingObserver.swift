/// Whoever watches a run: prints, draws, or asks it to stop. Called on the rank's own thread, on every rank.
public protocol TrainingObserver: AnyObject {
  /// Whether this rank was asked to stop; the ranks agree on it at the next step.
  var stopRequested: Bool { get }
  /// Whether this rank was asked for a checkpoint since it was last asked; the ranks agree on it at the next step.
  func takeSaveRequest() -> Bool

  /// The run is about to do its first step. Called on rank 0 only, like everything below.
  func started(_ plan: RunPlan)
  /// A step was done.
  func progress(_ progress: StepProgress)
  /// An epoch was done; its lines of `metrics.jsonl`.
  func epochEnded(_ records: [MetricsRecord])
  func checkpointWritten(_ path: String)
  /// Something worth knowing, in a sentence.
  func note(_ text: String)
  /// What the run's figures say, and what could be done about it, in a sentence. A note unless the observer has another place
  /// for it.
  func advise(_ text: String)
}

extension TrainingObserver {
  public func takeSaveRequest() -> Bool { false }
  public func advise(_ text: String) { note(text) }
}

/// How far a run is after a step.
public struct StepProgress: Equatable, Sendable {
  /// The epoch under way, from 1.
  public var epoch: Int
  public var epochs: Int
  /// Steps done since the start of the run.
  public var step: Int
  /// Steps from the start of the run to its end.
  public var steps: Int
  /// Mean of the epoch's losses so far.
  public var loss: Double
  public var samplesPerSecond: Double
  /// Seconds to the end at this pace.
  public var secondsRemaining: Double
  /// [E] share of the epoch's samples so far that each expert of the first mixture layer was chosen for; empty without a gate.
  public var shares: [Double]

  public init(
    epoch: Int, epochs: Int, step: Int, steps: Int, loss: Double, samplesPerSecond: Double,
    secondsRemaining: Double, shares: [Double] = []
  ) {
    self.epoch = epoch
    self.epochs = epochs
    self.step = step
    self.steps = steps
    self.loss = loss
    self.samplesPerSecond = samplesPerSecond
    self.secondsRemaining = secondsRemaining
    self.shares = shares
  }
}

/// Watches nothing and never stops a run.
public final class SilentObserver: TrainingObserver {
  public init() {}
  public var stopRequested: Bool { false }
  public func started(_ plan: RunPlan) {}
  public func progress(_ progress: StepProgress) {}
  public func epochEnded(_ records: [MetricsRecord]) {}
  public func checkpointWritten(_ path: String) {}
  public func note(_ text: String) {}
}
