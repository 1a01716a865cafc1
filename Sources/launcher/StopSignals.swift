import Foundation
import Synchronization

/// SIGUSR1, SIGTERM and SIGINT ask the run to stop at the next step, with a checkpoint.
enum StopSignals {
  /// The one global of the program: a signal handler can reach nothing else.
  private static let flag = Atomic<Bool>(false)

  static var raised: Bool { flag.load(ordering: .relaxed) }

  static func listen() {
    for number in [SIGUSR1, SIGTERM, SIGINT] {
      signal(number) { _ in StopSignals.flag.store(true, ordering: .relaxed) }
    }
  }
}
