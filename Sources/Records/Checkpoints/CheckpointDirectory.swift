public import Files
internal import Glibc

/// The checkpoints of a run directory.
///
/// Only regular files whose names are a ``CheckpointName`` are ever opened or removed; links are not followed, so that
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
    try names().compactMap { $0.isRegular ? CheckpointName(fileName: $0.name) : nil }.sorted()
  }

  /// What `latest` names, if that is the name of a checkpoint that exists; anything else in that file counts as nothing.
  public func latest() throws(Failure) -> CheckpointName? {
    guard let file = try? CheckedFile.reading(path + "/" + Self.latestName, followingLinks: false),
      let size = try? file.size(), size <= 256, let bytes = try? file.bytes(at: 0, count: size)
    else { return nil }
    var text = String(decoding: bytes, as: UTF8.self)
    if text.last == "\n" { text.removeLast() }
    guard let name = CheckpointName(fileName: text) else { return nil }
    return try list().contains(name) ? name : nil
  }

  /// The file that a path means: itself, or the newest checkpoint where it is a run directory.
  ///
  /// - Throws: ``Failure`` for a directory without a checkpoint.
  public static func file(at path: String) throws(Failure) -> String {
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return path }
    let directory = CheckpointDirectory(path)
    var newest = try directory.latest()
    if newest == nil { newest = try directory.list().last }
    guard let name = newest else {
      throw Failure(
        .notFound, "directory \(path) has no checkpoint; name a run directory that has one, or a file")
    }
    return directory.path(of: name)
  }

  /// Opens the newest checkpoint that is whole, every checksum verified.
  ///
  /// - Parameter warn: Takes one line for every newer checkpoint that is damaged.
  /// - Returns: nil when there is none.
  /// - Throws: ``Failure`` when the directory cannot be read.
  public func newestValid(warn: (Message) -> Void) throws(Failure) -> CheckpointFile? {
    for name in try list().reversed() {
      do {
        let file = try CheckpointFile(path: path(of: name), followingLinks: false)
        try file.verifyAll()
        return file
      } catch {
        warn("\(error.words); trying the checkpoint before it")
      }
    }
    return nil
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

  /// Removes temporary files of checkpoints that a killed process did not finish. Only for the one process that owns
  /// the run directory, before it writes.
  public func removeUnfinished() throws(Failure) {
    for (name, isRegular) in try names() where isRegular && name.hasSuffix(CheckpointWriter.temporarySuffix) {
      let finalName = String(name.dropLast(CheckpointWriter.temporarySuffix.count))
      if CheckpointName(fileName: finalName) != nil { try CheckedDirectory.remove(path + "/" + name) }
    }
  }

  private func names() throws(Failure) -> [(name: String, isRegular: Bool)] {
    do { return try CheckedDirectory.names(path) } catch {
      if error.code == .notFound { return [] }
      throw error
    }
  }
}
