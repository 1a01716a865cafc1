internal import Dist
internal import Foundation
internal import Numerics
internal import Records

/// Where a run comes from, for its record: the process that trains it. None of it determines a result.
public struct RunOrigin: Sendable {
  /// The words of the command line.
  public var command: [String]
  /// Names and versions.
  public var versions: [String: String]
  /// The commit that the program was built from, where one is known.
  public var gitCommit: String?
  /// How the program was compiled.
  public var buildFlags: String
  /// Of the process; ``RunSession/environmentNames`` are recorded, and data are looked for by it.
  public var environment: [String: String]

  /// - Parameter environment: nil: that of this process.
  public init(
    command: [String] = CommandLine.arguments, versions: [String: String]? = nil, buildFlags: String = "",
    environment: [String: String]? = nil
  ) {
    self.command = command
    self.versions =
      versions
      ?? ["moe-dist": Version.text, "openblas": BLAS.version, "mpi": Ranks.libraryVersion]
    gitCommit = Version.commit
    self.buildFlags = buildFlags
    self.environment = environment ?? ProcessInfo.processInfo.environment
  }
}
