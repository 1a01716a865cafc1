import Files
import Foundation

/// An mpirun, its ranks on this host, and what both leave.
final class MpirunProcess {
  private let child: ChildProcess
  var process: pid_t { child.process }
  private let environment: [String: String]
  private var code: Int32?
  private var ranks: [LocalProcess] = []
  private var sessions: Set<OpenMPISession> = []

  /// Starts mpirun in a process group of its own, so that a terminal's signals come from launch alone.
  ///
  /// - Throws: ``Failure`` where it cannot be started.
  init(_ line: MpirunLine, path: String, environment: [String: String]) throws {
    // By its name: a path would have mpirun change the search paths of remote hosts.
    child = try ChildProcess(
      path, ["mpirun"] + line.arguments,
      environment: environment.merging(line.settings.map { ($0.name, $0.value) }) { _, new in new },
      hasOwnGroup: true, advice: "install Open MPI")
    self.environment = environment
  }

  /// mpirun's exit code once it has ended, 128 + n where signal n did it; nil: it runs.
  func poll() -> Int32? {
    if code == nil { code = child.exitCode(waits: false) }
    return code
  }

  func signal(_ number: Int32) { if code == nil { kill(process, number) } }

  /// Looks for ranks on this host.
  ///
  /// - Returns: how many there are, and whether there ever was one.
  func look() -> (alive: Int, hasBegun: Bool) {
    for child in LocalProcess.children(of: process) where !ranks.contains(child) {
      let variables = child.environment
      guard variables["OMPI_COMM_WORLD_RANK"] != nil else { continue }
      ranks.append(child)
      if let session = OpenMPISession(rankEnvironment: variables) { sessions.insert(session) }
    }
    return (ranks.count { $0.isAlive }, !ranks.isEmpty)
  }

  /// Whether mpirun and its ranks on this host would survive a signal that was not meant to end them.
  func catches(_ number: Int32) -> Bool {
    let (alive, hasBegun) = look()
    return hasBegun && alive > 0
      && ([LocalProcess(process)] + ranks.filter(\.isAlive)).allSatisfy { $0?.catches(number) == true }
  }

  /// Ends what is left by force, and waits for it.
  func end() {
    if poll() == nil { kill(-process, SIGKILL) }
    while poll() == nil { usleep(10_000) }
  }

  /// After mpirun has ended: ends ranks of this host that are still there, after the time that they need to notice, and
  /// removes the files that Open MPI leaves when it does not end in order.
  func clean() {
    var left = 30
    while left > 0, ranks.contains(where: \.isAlive) {
      usleep(100_000)
      left -= 1
    }
    for rank in ranks where rank.isAlive { kill(rank.process, SIGKILL) }
    while left > -30, ranks.contains(where: \.isAlive) {
      usleep(100_000)
      left -= 1
    }
    for session in sessions { session.removeFiles() }
    OpenMPISession.removeDirectory(ofMpirun: process, environment)
  }
}

/// A process of this host. A number that is used again does not pass for it.
struct LocalProcess: Equatable {
  let process: pid_t
  /// In ticks since the host's start.
  private let began: String

  /// Nil where there is none.
  init?(_ process: pid_t) {
    guard let fields = Self.fields(process) else { return nil }
    self.process = process
    began = fields.began
  }

  var isAlive: Bool {
    guard let fields = Self.fields(process) else { return false }
    return fields.began == began && !["Z", "X"].contains(fields.state)
  }

  /// As it was when the program began; empty where it cannot be read.
  var environment: [String: String] {
    var found: [String: String] = [:]
    for entry in (SafeFile.systemText("/proc/\(process)/environ") ?? "").split(separator: "\0") {
      let sides = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if sides.count == 2 { found[String(sides[0])] = String(sides[1]) }
    }
    return found
  }

  func catches(_ number: Int32) -> Bool {
    let line = (SafeFile.systemText("/proc/\(process)/status") ?? "").split(separator: "\n")
      .first { $0.hasPrefix("SigCgt:") }
    guard let mask = line.flatMap({ UInt64($0.dropFirst(7).filter { !$0.isWhitespace }, radix: 16) }) else {
      return false
    }
    return mask >> (number - 1) & 1 == 1
  }

  static func children(of parent: pid_t) -> [LocalProcess] {
    let listed = SafeFile.systemText("/proc/\(parent)/task/\(parent)/children")
    let numbers =
      listed?.split { $0.isWhitespace }.compactMap { pid_t($0) }
      // A kernel without the list.
      ?? all.filter { fields($0)?.parent == parent }
    return numbers.compactMap { LocalProcess($0) }
  }

  /// The numbers of all processes.
  static var all: [pid_t] {
    ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { pid_t($0) }
  }

  private static func fields(_ process: pid_t) -> (state: String, parent: pid_t, began: String)? {
    // The name, in parentheses, may have spaces.
    guard let text = SafeFile.systemText("/proc/\(process)/stat"), let name = text.lastIndex(of: ")") else {
      return nil
    }
    let fields = text[text.index(after: name)...].split { $0.isWhitespace }
    guard fields.count > 19 else { return nil }
    return (String(fields[0]), pid_t(fields[1]) ?? 0, String(fields[19]))
  }
}
