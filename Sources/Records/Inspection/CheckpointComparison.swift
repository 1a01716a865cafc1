public import Files

/// Two checkpoints or two runs beside each other.
public struct CheckpointComparison: Sendable {
  /// What was compared.
  public enum Kind: Equatable, Sendable {
    case files(CheckpointDifference)
    case runs(RunDifference)
  }

  /// What was compared: the directories of runs, or the files.
  public let names: (first: String, second: String)
  public let kind: Kind

  /// Compares what two paths mean: two run directories, or two files; beside a file a run directory means its newest
  /// checkpoint. Either may be a link.
  ///
  /// - Throws: ``Failure``: not found (66), no checkpoint (65), not readable (74).
  public init(_ first: String, _ second: String) throws(Failure) {
    if SafeFile.isDirectory(first), SafeFile.isDirectory(second) {
      for run in [first, second] { try RunDirectory.check(run) }
      names = (first, second)
      kind = .runs(try RunDifference(CheckpointDirectory(first), CheckpointDirectory(second)))
    } else {
      let files = (try CheckpointDirectory.open(at: first), try CheckpointDirectory.open(at: second))
      names = (files.0.path, files.1.path)
      kind = .files(try CheckpointDifference(files.0, files.1))
    }
  }

  public var isEqual: Bool {
    switch kind {
    case .files(let difference): difference.isEmpty
    case .runs(let difference): difference.isEmpty
    }
  }

  /// Lines for a user, the verdict last.
  public var text: String {
    switch kind {
    case .files(let difference): difference.text(names)
    case .runs(let difference): difference.text(names)
    }
  }

  /// `first` and `second`, the paths, and what was found.
  public var json: JSONValue {
    let found =
      switch kind {
      case .files(let difference): difference.json
      case .runs(let difference): difference.json
      }
    guard case .object(let members) = found else { return found }
    return .object(
      [.init(key: "first", value: .string(names.first)), .init(key: "second", value: .string(names.second))]
        + members)
  }
}
