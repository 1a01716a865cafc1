internal import Foundation
internal import Synchronization

#if canImport(Glibc)
  internal import Glibc
#endif

/// Ends the process when nothing has been completed for too long.
///
/// A thread of its own that makes no MPI call: where a rank waits for one that will never answer, MPI cannot be asked.
public final class Watchdog: Sendable {
  private let limit: Double
  private let place: String
  private let program: String
  private let exitCode: Int32
  private let advice: String
  private let onStall: @Sendable (String) -> Void
  /// What was last begun, as an index into `phases` and a step.
  private let phase = Atomic<Int>(0)
  private let step = Atomic<Int>(0)
  private let ticks = Atomic<Int>(0)
  private let stopped = Atomic<Bool>(false)
  private let phases: [String]

  /// - Parameters:
  ///   - limit: seconds without a tick; 0: the watchdog sleeps.
  ///   - place: `rank r on host h`, for the message.
  ///   - phases: the names that ``tick(phase:step:)`` refers to; none for a watch over the start of a job.
  ///   - program: its name, for the message.
  ///   - exitCode: ends the process.
  ///   - advice: what to do about it, the end of the message.
  ///   - onStall: called before the process ends, for example to write the message to a file.
  public init(
    limit: Double, place: String, phases: [String], program: String, exitCode: Int32, advice: String,
    onStall: @escaping @Sendable (String) -> Void
  ) {
    self.limit = limit
    self.place = place
    self.phases = phases
    self.program = program
    self.exitCode = exitCode
    self.advice = advice
    self.onStall = onStall
    guard limit > 0 else { return }
    let thread = Thread { [weak self] in
      var seen = -1
      var since = Date()
      while true {
        let pause = min(0.25, limit / 4)
        let before = Date()
        Thread.sleep(forTimeInterval: pause)
        guard let self, !self.stopped.load(ordering: .relaxed) else { return }
        // A watchdog that was stopped itself, with the whole job, has seen nothing in that time.
        let slept = Date().timeIntervalSince(before) - pause
        if slept > 1 { since += slept }
        let now = self.ticks.load(ordering: .relaxed)
        if now != seen {
          seen = now
          since = Date()
        } else if Date().timeIntervalSince(since) > limit {
          self.end()
        }
      }
    }
    thread.start()
  }

  /// Says that a phase has begun; from any thread.
  ///
  /// - Parameters:
  ///   - index: of the phase among the names.
  ///   - step: for the message.
  public func tick(phase index: Int, step: Int) {
    phase.store(index, ordering: .relaxed)
    self.step.store(step, ordering: .relaxed)
    ticks.wrappingAdd(1, ordering: .relaxed)
  }

  /// Ends the watch; the thread is gone soon after.
  public func stop() { stopped.store(true, ordering: .relaxed) }

  private func end() {
    let name = phases.isEmpty ? "" : phases[phase.load(ordering: .relaxed)]
    let words =
      phases.isEmpty
      ? "stalled: not all ranks have arrived within \(limit) s; \(advice)"
      : "stalled: no phase was completed for \(limit) s; in phase '\(name)' of step \(step.load(ordering: .relaxed)), "
        + "after \(ticks.load(ordering: .relaxed)) phases; "
        + advice
    onStall(words)
    printLine("\(program): \(place): \(words)")
    _exit(exitCode)
  }
}

/// A line on standard error, without what would steer a terminal; nobody is told where that cannot be written.
func printLine(_ line: String) {
  let bytes = Array((line.printableLine + "\n").utf8)
  var done = 0
  while done < bytes.count {
    let count = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress! + done, $0.count - done) }
    if count < 0, errno == EINTR { continue }
    guard count > 0 else { return }
    done += count
  }
}
