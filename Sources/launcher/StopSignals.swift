import Foundation
import Synchronization

/// What signals ask of a run: SIGUSR1, SIGTERM, SIGINT and SIGHUP to stop at the next step, with a checkpoint; SIGUSR2 to
/// write a checkpoint there and go on.
enum StopSignals {
  // The globals of the program: a signal handler can reach nothing else.
  private static let stop = Atomic<Bool>(false)
  /// The last signal that would have ended a process that does not listen.
  private static let last = Atomic<Int32>(0)
  private static let save = Atomic<Bool>(false)

  static var raised: Bool { stop.load(ordering: .relaxed) }

  /// The last signal that asked to stop since this was asked last; nil: none did.
  static func takeStop() -> Int32? {
    let number = last.exchange(0, ordering: .relaxed)
    return number == 0 ? nil : number
  }

  /// Whether a checkpoint was asked for since this was asked last.
  static func takeSave() -> Bool { save.exchange(false, ordering: .relaxed) }

  /// From the program's first line on: what comes before a run has begun counts for it. A signal that the process was started
  /// to ignore, as `nohup` does with SIGHUP, stays ignored. Output that nobody reads and files that grow too large are
  /// errors of writing, not signals.
  static func listen() {
    for number in [SIGUSR1, SIGTERM, SIGINT, SIGHUP] where !isIgnored(number) {
      signal(number) { number in
        StopSignals.last.store(number, ordering: .relaxed)
        StopSignals.stop.store(true, ordering: .relaxed)
      }
    }
    if !isIgnored(SIGUSR2) { signal(SIGUSR2) { _ in StopSignals.save.store(true, ordering: .relaxed) } }
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
  }

  /// Of a command that has nothing to save: signals that end a process end it, also one that has come already. What is
  /// meant for runs, SIGUSR1 and SIGUSR2, changes nothing.
  static func endProcess() {
    for number in [SIGTERM, SIGINT, SIGHUP] where !isIgnored(number) { signal(number, SIG_DFL) }
    let number = last.load(ordering: .relaxed)
    if raised, number != SIGUSR1 { raise(number) }
  }

  private static func isIgnored(_ number: Int32) -> Bool {
    var action = sigaction()
    sigaction(number, nil, &action)
    let handler = unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
    return handler == unsafeBitCast(SIG_IGN, to: Int.self)
  }
}
