import Files
import Foundation
import Records

/// Starts ranks by mpirun, passes signals on to them, ends what hangs, and starts again what crashed.
///
/// A loop that looks every 50 ms: signals only set flags, and no thread is needed.
final class Supervisor {
  /// Times in seconds.
  struct Limits {
    /// What a stop, or an mpirun whose ranks have ended, is given before it is ended.
    var grace: Double
    /// Within which the first rank must be there; 0: any time.
    var start: Double
    /// Between SIGTERM and SIGKILL.
    var kill: Double { min(max(grace, 1), 5) }
  }

  private let plan: LaunchPlan
  private let limits: Limits
  private let environment: [String: String]
  private let say: (String) -> Void
  private var decision: RestartDecision
  private var stop: StopRequest?

  private struct StopRequest {
    /// When it came, in seconds.
    let since: Double
    /// Whether it may take as long as it needs: who sends SIGUSR1 knows how much time there is.
    let isPatient: Bool
  }

  init(
    _ plan: LaunchPlan, maxRestarts: Int, limits: Limits, environment: [String: String],
    say: @escaping (String) -> Void
  ) {
    self.plan = plan
    self.limits = limits
    self.environment = environment
    self.say = say
    decision = RestartDecision(maxRestarts: maxRestarts)
  }

  /// - Returns: the exit code of the whole.
  /// - Throws: ``Failure`` where mpirun cannot be started.
  func run() throws -> Int32 {
    var line = try plan.line()
    while true {
      let ending = try watch(line)
      switch decision.decide(ending) {
      case .end(let code, let reason):
        if let reason { say("moe-dist: \(ending.cause); not restarted: \(reason)") }
        if code == ExitCode.stoppedEarly.rawValue, ending.state != .stopped {
          say(
            "moe-dist: ended before another checkpoint was written; --resume auto continues from the last one"
          )
        }
        return code
      case .restart(let number):
        guard let directory = plan.directory, awaitRelease(of: directory) else {
          say("moe-dist: \(ending.cause); not restarted: its processes are still there")
          return ending.exitCode
        }
        if stop != nil || StopSignals.raised { return ExitCode.stoppedEarly.rawValue }
        line = try plan.line(after: ending.cause)
        say(
          "moe-dist: \(ending.cause); restart \(number) with \(line.ranks) rank\(line.ranks == 1 ? "" : "s"), from the "
            + "newest valid checkpoint of \(directory)")
      }
    }
  }

  // MARK: One start

  private func watch(_ line: LaunchPlan.Start) throws -> LaunchEnding {
    let trace = plan.directory.map { RunTrace($0) }
    let mpirun = try MpirunProcess(line.line, path: plan.mpirun, environment: environment)
    var watcher = HangWatcher(limits: limits, now: Self.now())
    var signals = SignalRelay()
    var looked = Self.now()
    while mpirun.poll() == nil {
      usleep(50_000)
      let now = Self.now()
      take(&signals, now, mpirun)
      // Files may be far away, and the cores are the ranks'.
      guard now - looked >= 0.25 else { continue }
      looked = now
      let isListening = trace.map { $0.currentStatus()?.state == .running } ?? mpirun.catches(SIGUSR1)
      signals.pass(to: mpirun, isListening: isListening)
      let found = HangWatcher.Found(
        ranks: mpirun.look(), isOver: trace?.isOver() ?? false, hasStatus: trace?.currentStatus() != nil,
        ranksAreHere: plan.isHere)
      switch watcher.next(found, stopping: stop.flatMap { $0.isPatient ? nil : $0.since }, now: now) {
      case .wait: break
      case .terminate: mpirun.signal(SIGTERM)
      case .kill: mpirun.end()
      }
    }
    let code = mpirun.poll() ?? ExitCode.internalError.rawValue
    // An mpirun that ended in order has removed its files.
    if code != 0 { mpirun.clean() }
    let status = trace?.currentStatus()
    return LaunchEnding(
      code: code, state: status?.state, step: status?.step, failure: trace?.firstFailure(),
      hang: watcher.reason, isStopRequested: stop != nil && plan.directory != nil)
  }

  /// Turns signals of this process into requests.
  private func take(_ signals: inout SignalRelay, _ now: Double, _ mpirun: MpirunProcess) {
    if StopSignals.takeSave() { signals.wantsSave = true }
    guard let number = StopSignals.takeStop() else { return }
    if let stop, number != SIGUSR1, !stop.isPatient {
      // Asked twice: at once.
      mpirun.signal(SIGTERM)
    }
    if stop == nil || number != SIGUSR1 { stop = StopRequest(since: now, isPatient: number == SIGUSR1) }
    // A command without a run has nothing to save.
    if plan.directory == nil, number != SIGUSR1 { mpirun.signal(number) } else { signals.wantsStop = true }
  }

  /// Waits until no process writes the run, for at most as long as a watchdog takes to notice.
  private func awaitRelease(of directory: String) -> Bool {
    let began = Self.now()
    while RunDirectory.isHeld(directory) {
      if Self.now() - began > 60 { return false }
      if StopSignals.raised { return true }
      usleep(200_000)
    }
    return true
  }

  private static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}

/// Passes SIGUSR1 and SIGUSR2 on when there is somebody who listens: before, mpirun or a rank would be killed by them.
private struct SignalRelay {
  /// Every other request to stop goes the same way: mpirun gives ranks one second after SIGTERM, which may be too little for
  /// a checkpoint.
  var wantsStop = false
  var wantsSave = false

  mutating func pass(to mpirun: MpirunProcess, isListening: Bool) {
    guard isListening else { return }
    if wantsSave { mpirun.signal(SIGUSR2) }
    if wantsStop { mpirun.signal(SIGUSR1) }
    wantsSave = false
    wantsStop = false
  }
}
