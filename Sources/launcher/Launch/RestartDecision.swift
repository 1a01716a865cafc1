import Files
package import Records

/// What the first rank that failed wrote into `errors/`.
package struct RankFailure: Equatable {
  package let rank: Int
  package let host: String
  package let code: Int32
  package let message: String

  package init(rank: Int, host: String, code: Int32, message: String) {
    self.rank = rank
    self.host = host
    self.code = code
    self.message = message
  }
}

/// How an mpirun and its ranks ended.
package struct LaunchEnding: Equatable {
  /// mpirun's own code; 128 + n where signal n ended it.
  package var code: Int32
  /// What `status.json` says; nil: this start wrote none.
  package var state: RunState?
  /// The step that `status.json` tells.
  package var step: Int?
  /// The earliest of this start's errors.
  package var failure: RankFailure?
  /// Why mpirun was ended although it went on; nil: it ended by itself.
  package var hang: String?
  /// Whether somebody asked the run to stop.
  package var isStopRequested: Bool

  package init(
    code: Int32, state: RunState? = nil, step: Int? = nil, failure: RankFailure? = nil, hang: String? = nil,
    isStopRequested: Bool = false
  ) {
    self.code = code
    self.state = state
    self.step = step
    self.failure = failure
    self.hang = hang
    self.isStopRequested = isStopRequested
  }

  /// The code that the ranks meant. mpirun puts its own in its place at times, so the run's files are asked first.
  package var exitCode: Int32 {
    switch state {
    // A standard output that fails after the work is what remains to be said.
    case .finished: return code == ExitCode.inputOutput.rawValue ? code : 0
    case .stopped: return ExitCode.stoppedEarly.rawValue
    case .diverged: return ExitCode.diverged.rawValue
    default: break
    }
    // The last checkpoint is what the run goes on from.
    if isStopRequested, !Self.isFinal(failure?.code ?? code) { return ExitCode.stoppedEarly.rawValue }
    if state == .stalled { return ExitCode.stalled.rawValue }
    if let failure { return failure.code }
    return hang == nil ? code : ExitCode.stalled.rawValue
  }

  /// The root cause in one line: the earliest error of a rank, else what mpirun's code means.
  package var cause: String {
    if let failure { return "rank \(failure.rank) on host \(failure.host): \(failure.message)" }
    return hang ?? Self.meaning(of: code)
  }

  /// Equal where two starts ended for the same reason at the same step. Numbers of a message, such as seconds, are not part
  /// of the reason.
  var signature: String {
    let words =
      failure.map { "\($0.code) \($0.message.filter { !$0.isNumber && $0 != "." })" } ?? hang
      ?? "mpirun \(code)"
    return "\(words) at step \(step.map(String.init) ?? "none")"
  }

  /// Codes after which another start would end in the same way: done, stopped, wrong words, wrong or missing files, a loss
  /// that is not finite.
  static func isFinal(_ code: Int32) -> Bool {
    let final: [ExitCode] = [
      .finished, .usage, .badData, .notFound, .cannotCreate, .stoppedEarly, .diverged,
    ]
    return final.contains { $0.rawValue == code }
  }

  /// What a code of mpirun means.
  package static func meaning(of code: Int32) -> String {
    let signals: [Int32: String] = [
      4: ", a trap of the program", 5: ", a trap of the program", 6: ", an abort", 7: ", a bus error",
      9: ", perhaps for want of memory", 11: ", a segmentation fault",
    ]
    switch code {
    case 1: return "mpirun could not start or end the job (its code 1; what it said is above)"
    case 70: return "a rank had an internal error (code 70)"
    case 74: return "a rank could not read or write (code 74)"
    case 81: return "the ranks stalled (code 81)"
    case 126, 127: return "mpirun or the program could not be run (code \(code))"
    case 129...192:
      return "a rank or mpirun was killed by signal \(code - 128)\(signals[code - 128] ?? "") (code \(code))"
    case 205: return "mpirun lost its daemon on a host (code 205)"
    default: return "a rank ended with code \(code)"
    }
  }
}

/// Whether a run is started again. It remembers how the starts before ended.
package struct RestartDecision {
  package enum Verdict: Equatable {
    /// - Parameter reason: why not again; nil where the ranks have said all.
    case end(code: Int32, reason: String?)
    /// - Parameter number: of the restart, from 1.
    case restart(number: Int)
  }

  /// How often the same may happen at the same step.
  package static let sameCauseLimit = 3

  private let maxRestarts: Int
  private var restarts = 0
  private var signatures: [String] = []

  package init(maxRestarts: Int) { self.maxRestarts = maxRestarts }

  package mutating func decide(_ ending: LaunchEnding) -> Verdict {
    let code = ending.exitCode
    if LaunchEnding.isFinal(code) || ending.state == .finished { return .end(code: code, reason: nil) }
    signatures.append(ending.signature)
    guard maxRestarts > 0 else {
      // Codes of this program come with a line of the rank that has them.
      return .end(code: code, reason: ExitCode(rawValue: code) == nil ? "no restart was asked for" : nil)
    }
    let times = signatures.count { $0 == ending.signature }
    if times >= Self.sameCauseLimit {
      let place = ending.step.map { "step \($0)" } ?? "the start"
      return .end(code: code, reason: "this was the same \(times) times after \(place)")
    }
    guard restarts < maxRestarts else {
      return .end(
        code: code,
        reason:
          "\(restarts) restart\(restarts == 1 ? " was" : "s were") made, as many as --max-restarts allows")
    }
    restarts += 1
    return .restart(number: restarts)
  }

  /// How many ranks go on with the hosts that are left: as many as before, or as these have cores for.
  ///
  /// - Parameters:
  ///   - wanted: what the user asked for.
  ///   - cores: of the hosts that are left.
  ///   - allCores: of all hosts; a job that was oversubscribed from the start stays so.
  /// - Returns: nil where that is fewer than `minimum`.
  package static func ranks(_ wanted: Int, atLeast minimum: Int, threads: Int, cores: Int, allCores: Int)
    -> Int?
  {
    guard cores > 0 else { return nil }
    let fits = wanted * threads > allCores || cores == allCores
    let ranks = fits ? wanted : min(wanted, cores / threads)
    return ranks >= max(minimum, 1) ? ranks : nil
  }
}
