internal import CBuild

/// The version of the program and of its files.
public enum Version {
  public static let text = "0.1.0"

  /// The commit of the sources, with `-dirty` where they were changed; nil for a build that no script made.
  public static var commit: String? {
    let commit = String(cString: build_commit())
    return commit.isEmpty ? nil : commit
  }
}
