public import DataSets
public import Files
public import Training

/// What a study needs from the program around it.
public struct StudyHost {
  /// Reads a configuration's data.
  public var load: (Configuration) throws -> DataSet
  /// The words of the command line.
  public var command: [String]
  public var versions: [String: String]
  public var buildFlags: String
  public var environment: [String: String]
  /// How settings are spelled in what runs say and keep.
  public var spelling = Message.Spelling.settings
  /// Runs that go side by side, for the remaining time.
  public var lanes: Int
  /// Whether this process was asked to stop.
  public var stopRequested: () -> Bool
  /// Told at the end of a run, and every ten seconds or so within one.
  public var progress: (StudyProgress) -> Void

  public init(
    load: @escaping (Configuration) throws -> DataSet, command: [String], versions: [String: String],
    buildFlags: String, environment: [String: String], lanes: Int, stopRequested: @escaping () -> Bool,
    progress: @escaping (StudyProgress) -> Void
  ) {
    self.load = load
    self.command = command
    self.versions = versions
    self.buildFlags = buildFlags
    self.environment = environment
    self.lanes = lanes
    self.stopRequested = stopRequested
    self.progress = progress
  }
}

/// How far a study is.
public struct StudyProgress: Equatable, Sendable {
  public let runs: Int
  /// Runs that ended, one way or the other.
  public let done: Int
  public let diverged: Int
  /// The run that this process is at, and its epoch; nil when it has just ended one.
  public let current: String?
  /// Seconds to the end; nil while no run has finished.
  public let secondsRemaining: Double?

  public init(runs: Int, done: Int, diverged: Int, current: String?, secondsRemaining: Double?) {
    self.runs = runs
    self.done = done
    self.diverged = diverged
    self.current = current
    self.secondsRemaining = secondsRemaining
  }
}
