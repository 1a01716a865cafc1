public import Files

/// The checkpoints of a run, oldest first, by their names and sizes; none is read.
public struct CheckpointListing: Equatable, Sendable {
  public struct Entry: Equatable, Sendable {
    public let name: CheckpointName
    /// Of the file.
    public let bytes: Int
    /// Share of the validation samples with the wrong class; nil where none was validated at this step.
    public let validationError: Double?
    /// Whether `latest` names it.
    public let isLatest: Bool
    /// Whether no other has a smaller validation error, see ``BestCheckpoint``.
    public let isBest: Bool
  }

  public let entries: [Entry]

  /// - Parameter run: the run directory, which may be a link.
  /// - Throws: ``Failure`` where there is no directory or no checkpoint (66), and for damaged metrics or a checkpoint that is no
  ///   plain file (65).
  public init(of run: String) throws(Failure) {
    guard RunDirectory.exists(run) else { throw Failure(.notFound, "there is no run directory \(run)") }
    try RunDirectory.check(run)
    let directory = CheckpointDirectory(run)
    let names = try directory.entries().map(\.name)
    let errors = try BestCheckpoint.validationErrors(of: run)
    let latest = try directory.latest()
    let best = BestCheckpoint.best(of: errors, among: names)?.name
    var entries: [Entry] = []
    for name in names {
      guard let bytes = try Self.size(directory.path(of: name)) else { continue }
      entries.append(
        Entry(
          name: name, bytes: bytes, validationError: errors[name], isLatest: name == latest,
          isBest: name == best))
    }
    guard !entries.isEmpty else { throw Failure(.notFound, "run directory \(run) has no checkpoint") }
    self.entries = entries
  }

  /// Bytes of a file; nil where a run that is being written has removed it.
  private static func size(_ path: String) throws(Failure) -> Int? {
    do { return try CheckedFile.reading(path, followingLinks: false).size() } catch {
      guard error.code == .notFound else { throw error }
      return nil
    }
  }

  /// A table.
  public var text: String {
    var table = TextTable(heading: ["checkpoint", "epoch", "step", "size", "validation error", ""])
    for entry in entries {
      let marks = [entry.isLatest ? "latest" : nil, entry.isBest ? "best" : nil].compactMap { $0 }
      table.add([
        entry.name.fileName, String(entry.name.epochs), String(entry.name.steps), bytesText(entry.bytes),
        entry.validationError.map { fixed($0, 4) } ?? "-", marks.joined(separator: ", "),
      ])
    }
    return table.text
  }

  /// An object per checkpoint.
  public var json: JSONValue {
    .array(
      entries.map { entry in
        [
          "name": .string(entry.name.fileName), "epoch": .integer(entry.name.epochs),
          "step": .integer(entry.name.steps), "bytes": .integer(entry.bytes),
          "validation_error": JSONValue(entry.validationError), "latest": .bool(entry.isLatest),
          "best": .bool(entry.isBest),
        ]
      })
  }
}
