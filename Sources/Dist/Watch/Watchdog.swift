internal import Foundation
internal import Synchronization

#if canImport(Glibc)
  internal import Glibc
#endif

/// Ends the process when nothing has been completed for too long, and says which rank the job waits for.
///
/// A thread of its own that makes no MPI call: where a rank waits for one that will never answer, MPI cannot be asked. Ranks
/// of one host tell each other where they are by shared memory, from the moment when their watchdogs are made; a rank that
/// was stopped or is gone is known by what it wrote last. One rank of a host speaks for all.
///
/// A rank that is gone without having said why is told at once, before its launcher ends the others.
public final class Watchdog: Sendable {
  /// Why a job is ended.
  public struct Stall: Sendable {
    /// The rank that is late; where none of this host is, the one that noticed.
    public let rank: Int
    /// Whether it is the one that is late, and not one that waits for another host.
    public let isLate: Bool
    /// Its host.
    public let host: String
    /// What is the matter, in which phase, and what to do about it.
    public let message: String
  }

  private struct Watch {
    /// Seconds; 0: never.
    var abort = 0.0
    var warn = 0.0
    var advice = ""
    /// Whether it is the start of the job that is watched: a time that no phase begins anew.
    var isStart = false
    var onStall: (@Sendable (Stall) -> Bool)?
    var isRunning = false
    /// Phases that had begun when they were last counted, and since when there are as many, in milliseconds.
    var seen = 0
    var since = 0
    var hasWarned = false
  }

  private let program: Program
  private let exitCode: Int32
  private let phases: [String]
  private let host = localHostName()
  private let board: JobBoard
  private let ticks = Atomic<Int>(0)
  private let hasArrived = Atomic<Bool>(false)
  private let watch = Mutex(Watch())

  /// A watchdog that watches nothing yet; make it in the first line of a program, so that the other ranks know of this one,
  /// and give it to ``Ranks/run(_:environment:watchdog:onFailure:_:)``. A program that ends without that calls
  /// ``processEnds()`` before.
  ///
  /// - Parameters:
  ///   - program: its name, for messages.
  ///   - exitCode: ends the process.
  ///   - phases: the names that ``enter(phase:step:)`` refers to, the same on every rank.
  ///   - environment: `ProcessInfo.processInfo.environment`.
  public init(_ program: Program, exitCode: Int32, phases: [String], environment: [String: String]) {
    precondition(!phases.isEmpty, "a watchdog knows the names of phases")
    self.program = program
    self.exitCode = exitCode
    self.phases = phases
    board = JobBoard(environment)
    if Ranks.isLaunched(in: environment) { begin() }
  }

  // MARK: What the process says

  /// Says that a phase has begun; from any thread.
  ///
  /// - Parameters:
  ///   - index: of the phase among the names.
  ///   - step: for messages.
  public func enter(phase index: Int, step: Int) {
    let line = board.ownLine
    line[.phase] = index
    line[.step] = step
    ticks.wrappingAdd(1, ordering: .relaxed)
  }

  /// Watches the start of a job: whether all ranks are there in time.
  ///
  /// - Parameters:
  ///   - limit: seconds from now; 0: any time.
  ///   - advice: what to do where they are not, the end of the message.
  public func awaitRanks(within limit: Double, advice: String) {
    change {
      $0 = Watch(
        abort: limit, advice: advice, isStart: true, onStall: $0.onStall, isRunning: $0.isRunning,
        since: monotonicMilliseconds())
    }
  }

  /// Says that all ranks are there; nothing is watched then.
  public func ranksHaveArrived() {
    hasArrived.store(true, ordering: .relaxed)
    board.forgetName()
    rest()
  }

  /// Watches that phases go on.
  ///
  /// - Parameters:
  ///   - abort: seconds without a new phase after which the process is ended; 0: never.
  ///   - warn: seconds after which a line says which rank is late, and the job goes on; 0: never.
  ///   - advice: what to do, the end of the message.
  public func watchPhases(abortAfter abort: Double, warnAfter warn: Double, advice: String) {
    let seen = ticks.load(ordering: .relaxed)
    change {
      $0 = Watch(
        abort: abort, warn: warn, advice: advice, onStall: $0.onStall, isRunning: $0.isRunning, seen: seen,
        since: monotonicMilliseconds())
    }
  }

  /// Sets what is called before the process ends, for example to write the message to a file; nil: nothing.
  ///
  /// - Parameter action: called on the watchdog's thread, by one rank of every host; returns whether the message is to be
  ///   printed, which another host may have done that knows more.
  public func onStall(_ action: (@Sendable (Stall) -> Bool)?) { watch.withLock { $0.onStall = action } }

  /// Watches nothing until it is told to.
  public func rest() {
    watch.withLock { $0 = Watch(onStall: $0.onStall, isRunning: $0.isRunning) }
  }

  /// Says that this process ends by itself, and that why is said already or need not be.
  public func processEnds() { board.ownLine[.hasEnded] = 1 }

  /// Says that this process is about to print why the job ends, so that no other of the host does.
  public func processSpeaks() {
    _ = board.claim(.ending)
    processEnds()
  }

  /// Whether a rank of this host is saying why the job ends, or has said it.
  public var hasSpeaker: Bool { board.isClaimed(.ending) }

  /// A call of MPI begins that may wait for other ranks.
  ///
  /// - Parameter isExchange: whether all ranks make it.
  func beginsWaiting(isExchange: Bool) {
    let line = board.ownLine
    if isExchange { line.add(1, to: .exchanges) }
    line[.isWaiting] = 1
  }

  func endsWaiting() { board.ownLine[.isWaiting] = 0 }

  // MARK: The thread

  private func change(_ change: (inout Watch) -> Void) {
    let watches = watch.withLock {
      change(&$0)
      return $0.abort > 0 || $0.warn > 0
    }
    if watches { begin() }
  }

  private func begin() {
    let isRunning = watch.withLock { watch in
      defer { watch.isRunning = true }
      return watch.isRunning
    }
    guard !isRunning else { return }
    let thread = Thread { [weak self] in
      var deaths = DeathWatch()
      let pause = 200
      while true {
        let before = monotonicMilliseconds()
        Thread.sleep(forTimeInterval: Double(pause) / 1000)
        guard let self else { return }
        let slept = monotonicMilliseconds() - before - pause
        self.look(overslept: slept > 1000 ? slept : 0, &deaths)
      }
    }
    thread.start()
  }

  private func look(overslept: Int, _ deaths: inout DeathWatch) {
    let now = monotonicMilliseconds()
    board.ownLine[.heartbeat] = now
    if let dead = deaths.look(at: board.readings, own: board.own, now: now), board.claim(.ending) {
      printLine(
        "\(program.name): rank \(dead.rank) on host \(host): ended without a word in \(place(dead)); it crashed, exited or "
          + "was killed")
    }
    let count = ticks.load(ordering: .relaxed)
    enum Verdict {
      case none, late, goesOn
      case stalled(Watch)
    }
    let verdict = watch.withLock { watch -> Verdict in
      // A watchdog that was stopped itself, with the whole job, has seen nothing in that time.
      watch.since += overslept
      if count != watch.seen, !watch.isStart {
        watch.seen = count
        watch.since = now
        defer { watch.hasWarned = false }
        return watch.hasWarned ? .goesOn : .none
      }
      let seconds = Double(now - watch.since) / 1000
      if watch.abort > 0, seconds > watch.abort { return .stalled(watch) }
      if watch.warn > 0, seconds > watch.warn, !watch.hasWarned {
        watch.hasWarned = true
        return .late
      }
      return .none
    }
    switch verdict {
    case .none: return
    case .goesOn: board.release(.lateness)
    case .late:
      guard !board.isClaimed(.ending), board.claim(.lateness) else { return }
      let seconds = watch.withLock { $0.warn }
      let (late, words) = finding(after: seconds)
      let rank = "rank \(late.reading.rank) on host \(host)"
      let reason = "no phase was completed for \(text(seconds)) s, and \(words)"
      printLine(
        late.trouble == .none
          ? "\(program.name): WARNING: \(rank), in \(place(late.reading)): \(reason); the job goes on waiting"
          : "\(program.name): WARNING: \(rank) is late in \(place(late.reading)): \(reason); the job waits for it"
      )
    case .stalled(let watch): end(watch)
    }
  }

  private func end(_ watch: Watch) {
    let (late, words) = finding(after: watch.abort)
    // The host with the late rank speaks first.
    if late.trouble == .none, !board.isWhole { Thread.sleep(forTimeInterval: 2) }
    guard board.claim(.ending) else {
      // Who speaks has files to write.
      Thread.sleep(forTimeInterval: 2)
      processEnds()
      _exit(exitCode)
    }
    let phase = late.trouble == .hasNotBegun ? "" : " in \(place(late.reading))"
    let reason =
      watch.isStart
      ? "not all ranks have arrived within \(text(watch.abort)) s"
      : "no phase was completed for \(text(watch.abort)) s"
    let stall = Stall(
      rank: late.reading.rank, isLate: late.trouble != .none, host: host,
      message: "stalled\(phase): \(reason), and \(words); \(watch.advice)")
    if watch.onStall?(stall) ?? true {
      printLine("\(program.name): rank \(stall.rank) on host \(stall.host): \(stall.message)")
    }
    processEnds()
    _exit(exitCode)
  }

  private func finding(after seconds: Double) -> (late: LateRank, words: String) {
    let late = LateRank(
      among: board.readings, own: board.own, now: monotonicMilliseconds(),
      silence: max(1000, Int(min(seconds, 1e6) * 500)), hasArrived: hasArrived.load(ordering: .relaxed),
      isGone: DeathWatch.isGone)
    return (late, late.words(isAlone: board.count == 1, isWhole: board.isWhole))
  }

  private func place(_ reading: RankReading) -> String {
    let name = phases.indices.contains(reading.phase) ? phases[reading.phase] : "?"
    return hasArrived.load(ordering: .relaxed) ? "phase '\(name)' of step \(reading.step)" : "phase '\(name)'"
  }

  private func text(_ seconds: Double) -> String {
    seconds == seconds.rounded() && seconds < 1e15 ? String(Int(seconds)) : String(seconds)
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
