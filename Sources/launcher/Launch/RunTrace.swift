import Files
import Foundation
import Records

/// What a run directory says of one start: files that an earlier start left count for nothing.
struct RunTrace {
  /// Tells a file from the one that replaces it.
  private struct Identity: Equatable {
    let inode: UInt64
    let seconds: Int
    let nanoseconds: Int
  }

  let directory: String
  private let status: Identity?
  private let errors: [String: Identity]

  /// Taken before the start.
  init(_ directory: String) {
    self.directory = directory
    status = Self.identity(directory + "/status.json")
    errors = Self.errors(in: directory)
  }

  /// What the start has written into `status.json`; nil: nothing yet.
  func currentStatus() -> (state: RunState, step: Int?)? {
    let path = directory + "/status.json"
    guard let now = Self.identity(path), now != status, let json = Self.json(path),
      let state = json["state"]?.stringValue.flatMap(RunState.init(rawValue:))
    else { return nil }
    return (state, json["step"]?.integerValue)
  }

  /// The earliest error that a rank of the start has written.
  func firstFailure() -> RankFailure? {
    let new = Self.errors(in: directory).filter { errors[$0.key] != $0.value }
    let earliest = new.min {
      ($0.value.seconds, $0.value.nanoseconds, $0.key) < ($1.value.seconds, $1.value.nanoseconds, $1.key)
    }
    guard let earliest, let json = Self.json("\(directory)/errors/\(earliest.key)"),
      let code = json["exit_code"]?.integerValue, let message = json["message"]?.stringValue
    else { return nil }
    return RankFailure(
      rank: json["rank"]?.integerValue ?? 0, host: json["host"]?.stringValue ?? "?",
      code: Int32(truncatingIfNeeded: code), message: message.split(separator: "\n").joined(separator: " "))
  }

  /// Whether the start's ranks have written that they end, and no process holds the run any more.
  func isOver() -> Bool {
    guard let state = currentStatus()?.state, state != .running else { return false }
    return !RunDirectory.isHeld(directory)
  }

  private static func errors(in directory: String) -> [String: Identity] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory + "/errors")) ?? []
    var found: [String: Identity] = [:]
    for name in names where name.hasPrefix("rank-") && name.hasSuffix(".json") {
      found[name] = identity("\(directory)/errors/\(name)")
    }
    return found
  }

  private static func identity(_ path: String) -> Identity? {
    var status = stat()
    guard lstat(path, &status) == 0 else { return nil }
    return Identity(
      inode: UInt64(status.st_ino), seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec)
  }

  private static func json(_ path: String) -> JSONValue? {
    guard let bytes = try? SafeFile.read(path, limit: 1 << 20, followingLinks: false) else { return nil }
    return try? JSONValue(parsing: bytes)
  }
}
