public import Files
internal import Records

/// Whether a run can go on from a checkpoint: every checksum verified, every weight finite, and what a resume asks of it.
public struct CheckpointVerdict: Sendable {
  public let path: String
  /// Why it is not valid; nil: it is.
  public let failure: Failure?
  /// What it says, in a line.
  public let text: Message

  /// The verdict on a file.
  ///
  /// - Parameter open: opens it.
  init(_ path: String, _ open: () throws(Failure) -> CheckpointFile) {
    self.path = path
    do throws(Failure) {
      let file = try open()
      try file.verifyAll()
      try ResumePoint.check(file)
      let position = try TrainingState.position(file.metadata, file: path)
      failure = nil
      let checksum = file.contentChecksum.map { "SHA-256 \($0)" } ?? "without checksums"
      text =
        "valid: \(path): epoch \(position.epoch), step \(position.step), \(file.bytes) bytes, \(checksum)"
    } catch {
      failure = error
      text = "not valid: \(error.words)"
    }
  }

  /// Verifies the checkpoints of runs, oldest first, and files by their paths.
  ///
  /// - Parameters:
  ///   - paths: run directories or files; either may be a link, but what lies in a run may not.
  ///   - each: takes every verdict as soon as it is known.
  /// - Returns: nil where all are valid, else what is to be said at the end: not all are (65), there is none (66), or one
  ///   cannot be read (74).
  public static func verify(_ paths: [String], each: (CheckpointVerdict) -> Void) throws(Failure) -> Failure?
  {
    var count = 0
    var failures: [Failure] = []
    func take(_ verdict: CheckpointVerdict) {
      count += 1
      if let failure = verdict.failure { failures.append(failure) }
      each(verdict)
    }
    for path in paths {
      guard SafeFile.isDirectory(path) else {
        take(CheckpointVerdict(path) { () throws(Failure) in try CheckpointFile(path: path) })
        continue
      }
      try RunDirectory.check(path)
      let directory = CheckpointDirectory(path)
      let before = count
      for (name, _) in try directory.entries() {
        let verdict = CheckpointVerdict(directory.path(of: name)) { () throws(Failure) in
          try directory.open(name)
        }
        // A run that is being written has removed it since it was listed.
        if verdict.failure?.code != .notFound { take(verdict) }
      }
      if count == before { failures.append(Failure(.notFound, "run directory \(path) has no checkpoint")) }
    }
    return ending(failures, of: count)
  }

  private static func ending(_ failures: [Failure], of count: Int) -> Failure? {
    guard let first = failures.first else { return nil }
    let isMissing = failures.allSatisfy { $0.code == .notFound }
    if isMissing { return first }
    let code: ExitCode =
      failures.allSatisfy { [.notFound, .inputOutput].contains($0.code) } ? .inputOutput : .badData
    return Failure(code, "not valid: \(failures.count) of \(count) checkpoint\(count == 1 ? "" : "s")")
  }
}
