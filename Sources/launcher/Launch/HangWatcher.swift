/// When an mpirun has to be ended although it goes on.
package struct HangWatcher {
  package enum Action: Equatable {
    case wait
    case terminate
    case kill
  }

  /// What is seen of the job in one moment.
  package struct Found {
    /// Those of this host.
    var ranks: (alive: Int, hasBegun: Bool)
    /// Whether the run says that it ended, and nobody writes it.
    var isOver: Bool
    /// Whether the run has said anything.
    var hasStatus: Bool
    /// Whether all ranks are on this host.
    var ranksAreHere: Bool

    package init(ranks: (alive: Int, hasBegun: Bool), isOver: Bool, hasStatus: Bool, ranksAreHere: Bool) {
      self.ranks = ranks
      self.isOver = isOver
      self.hasStatus = hasStatus
      self.ranksAreHere = ranksAreHere
    }

    var isWithoutRanks: Bool { isOver || (ranksAreHere && ranks.hasBegun && ranks.alive == 0) }
  }

  private let grace: Double
  private let start: Double
  private let kill: Double
  private let began: Double
  private var emptySince: Double?
  private var terminatedAt: Double?
  /// Why it was ended; nil: it was not, or somebody asked for it.
  package private(set) var reason: String?

  /// - Parameters:
  ///   - grace: seconds that a stop, or an mpirun without ranks, is given.
  ///   - start: seconds within which the first rank must be there; 0: any time.
  ///   - kill: seconds between SIGTERM and SIGKILL.
  ///   - now: seconds of any clock that goes on.
  package init(grace: Double, start: Double, kill: Double, now: Double) {
    self.grace = grace
    self.start = start
    self.kill = kill
    began = now
  }

  /// - Parameter stopping: since when a stop is asked for that may not take longer than the grace; nil: none is.
  package mutating func next(_ found: Found, stopping: Double?, now: Double) -> Action {
    if let terminatedAt { return now - terminatedAt >= kill ? .kill : .wait }
    emptySince = found.isWithoutRanks ? emptySince ?? now : nil
    // Also without any grace, mpirun needs a moment to notice.
    if let emptySince, now - emptySince >= max(grace, 1) {
      reason = "mpirun did not end after its ranks had"
    } else if start > 0, !found.ranks.hasBegun, !found.hasStatus, now - began >= start + grace {
      reason = "no rank began within \(Int(start)) seconds (--start-limit)"
    } else if let stopping, now - stopping >= grace {
      reason = nil
    } else {
      return .wait
    }
    terminatedAt = now
    return .terminate
  }
}

extension HangWatcher {
  init(limits: Supervisor.Limits, now: Double) {
    self.init(grace: limits.grace, start: limits.start, kill: limits.kill, now: now)
  }
}
