public import Files

// A run that is being written removes its older checkpoints. Who reads one meanwhile loses nothing: an open file stays
// whole when its name goes, and who finds a name gone looks again.
extension CheckpointDirectory {
  /// How often a name that was found is tried before its failure counts.
  static let tries = 5

  /// What `latest` names, or the last one where it names nothing; nil where there is no checkpoint. It may be none that can
  /// be opened: who asks for the newest is not given an older one without a word.
  public func newest() throws(Failure) -> CheckpointName? {
    if let latest = try latest() { return latest }
    return try entries().last?.name
  }

  /// Opens the checkpoint that a rule finds. One that was removed since, or is not whole while the rule finds another by
  /// now, is left for that one.
  ///
  /// Who needs a checkpoint for longer keeps the file and does not open its path again.
  ///
  /// - Throws: ``Failure`` of the rule, or of the file that it found last.
  public func open(_ find: () throws(Failure) -> CheckpointName) throws(Failure) -> CheckpointFile {
    var name = try find()
    for _ in 1..<Self.tries {
      do throws(Failure) {
        return try open(name)
      } catch {
        let next = try find()
        guard error.code == .notFound || next != name else { throw error }
        name = next
      }
    }
    return try open(name)
  }

  /// Opens the checkpoint of a name, which must be a plain file.
  package func open(_ name: CheckpointName) throws(Failure) -> CheckpointFile {
    try CheckpointFile(path: path(of: name), followingLinks: false)
  }

  /// Opens what a path means: the file itself, or the newest checkpoint where it is a run directory.
  ///
  /// - Throws: ``Failure`` for a directory without a checkpoint (66), and for a file that cannot be opened.
  public static func open(at path: String) throws(Failure) -> CheckpointFile {
    guard SafeFile.isDirectory(path) else { return try CheckpointFile(path: path) }
    try RunDirectory.check(path)
    let directory = CheckpointDirectory(path)
    return try directory.open { () throws(Failure) in
      guard let name = try directory.newest() else {
        throw Failure(
          .notFound, "directory \(path) has no checkpoint; name a run directory that has one, or a file")
      }
      return name
    }
  }
}
