public import Files
internal import Glibc

/// The checkpoints of a run directory.
///
/// Only plain files whose names are a ``CheckpointName`` are ever opened or removed; links are not followed, so that
/// no path leads out of the directory.
public struct CheckpointDirectory: Sendable {
  /// The run directory.
  public let path: String

  public init(_ path: String) { self.path = path }

  /// The file that names the newest complete checkpoint.
  static let latestName = "latest"

  /// Where the checkpoint of a name is.
  public func path(of name: CheckpointName) -> String { path + "/" + name.fileName }

  /// The checkpoints that are there, oldest first; none when the directory does not exist.
  public func list() throws(Failure) -> [CheckpointName] {
    try entries().compactMap { $0.isPlain ? $0.name : nil }
  }

  /// What has the name of a checkpoint, oldest first, with whether it is a plain file.
  package func entries() throws(Failure) -> [(name: CheckpointName, isPlain: Bool)] {
    try names().compactMap { entry in
      CheckpointName(fileName: entry.name).map { (name: $0, isPlain: entry.isPlain) }
    }.sorted { $0.name < $1.name }
  }

  /// What `latest` names, if that is the name of a checkpoint that exists, plain file or not; anything else in that file
  /// counts as nothing.
  ///
  /// - Throws: ``Failure`` where it is no plain file (65), or cannot be read (74).
  public func latest() throws(Failure) -> CheckpointName? {
    let file = path + "/" + Self.latestName
    guard let bytes = try SafeFile.read(file, limit: 1 << 20, followingLinks: false), bytes.count <= 256
    else { return nil }
    var text = String(decoding: bytes, as: UTF8.self)
    if text.last == "\n" { text.removeLast() }
    guard let name = CheckpointName(fileName: text) else { return nil }
    return try entries().contains { $0.name == name } ? name : nil
  }

  /// Opens the newest checkpoint that is valid: a plain file, whole, every checksum verified.
  ///
  /// - Parameters:
  ///   - check: What else makes one valid.
  ///   - warn: Takes one line for every newer checkpoint that is not.
  /// - Returns: nil when there is none at all.
  /// - Throws: ``Failure`` when the directory cannot be read (74), and where checkpoints are there but none is valid (65).
  public func newestValid(
    _ check: (CheckpointFile) throws(Failure) -> Void = { _ in }, warn: (Message) -> Void
  ) throws(Failure) -> CheckpointFile? {
    try newestValid(check, warn: warn, tries: Self.tries)
  }

  private func newestValid(
    _ check: (CheckpointFile) throws(Failure) -> Void, warn: (Message) -> Void, tries: Int
  ) throws(Failure) -> CheckpointFile? {
    let names = try entries().map(\.name).reversed()
    var newest: Failure?
    for name in names {
      do throws(Failure) {
        let file = try open(name)
        try file.verifyAll()
        try check(file)
        return file
      } catch {
        // Another process removed it since it was listed, and has a newer one.
        if error.code == .notFound, tries > 1 {
          return try newestValid(check, warn: warn, tries: tries - 1)
        }
        if newest == nil { newest = error }
        if name != names.last { warn("\(error.words); trying the checkpoint before it") }
      }
    }
    guard let newest else { return nil }
    let others = names.count == 1 ? "" : ", nor is any of the \(names.count - 1) before it"
    throw Failure(
      .badData,
      "\(newest.words)\(others); no checkpoint of \(path) is valid: remove them to begin the run again, or choose "
        + "another run directory")
  }

  /// Removes all but the newest `count` checkpoints.
  ///
  /// - Parameters:
  ///   - count: How many to keep, at least one.
  ///   - kept: Checkpoints that stay whatever their age, such as the best one. What `latest` names stays, too.
  /// - Returns: What was removed.
  @discardableResult
  public func prune(keeping count: Int, except kept: [CheckpointName] = []) throws(Failure)
    -> [CheckpointName]
  {
    precondition(count >= 1, "at least one checkpoint is kept")
    let latest = try latest()
    let removed = try list().dropLast(count).filter { !kept.contains($0) && $0 != latest }
    for name in removed { try CheckedDirectory.remove(path(of: name)) }
    return removed
  }

  /// Removes temporary files that a killed process did not finish. Only for the one process that owns
  /// the run directory, before it writes.
  public func removeUnfinished() throws(Failure) {
    for (name, isPlain) in try names() where isPlain && name.hasSuffix(CheckpointWriter.temporarySuffix) {
      let finalName = String(name.dropLast(CheckpointWriter.temporarySuffix.count))
      if CheckpointName(fileName: finalName) != nil { try CheckedDirectory.remove(path + "/" + name) }
    }
    try removeParts(in: path) { RunDirectory.isOwn($0) || $0 == "report.html" }
    for (folder, ending) in [("errors", ".json"), ("figures", ".svg")] {
      // A link may lead out of the run.
      guard FileKind(at: "\(path)/\(folder)", followingLinks: false) == .directory else { continue }
      try removeParts(in: "\(path)/\(folder)") { $0.hasSuffix(ending) }
    }
  }

  /// Removes files that were to become others, whose names are the run's.
  private func removeParts(in folder: String, of isOwn: (String) -> Bool) throws(Failure) {
    guard SafeFile.isDirectory(folder) else { return }
    for (name, isPlain) in try CheckedDirectory.names(folder) where isPlain {
      let parts = name.split(separator: SafeFile.temporaryMark, omittingEmptySubsequences: false)
      if parts.count == 2, isOwn(String(parts[0])) { try CheckedDirectory.remove("\(folder)/\(name)") }
    }
  }

  private func names() throws(Failure) -> [(name: String, isPlain: Bool)] {
    do { return try CheckedDirectory.names(path) } catch {
      if error.code == .notFound { return [] }
      throw error
    }
  }
}
