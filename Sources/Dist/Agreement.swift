/// An error that all ranks know of: rank 0 says it, and all ranks end together instead of aborting the job.
///
/// ``Communicator/agree(_:)`` makes it of an error of one rank. A program that finds the same error on every rank, without
/// asking the others, throws one of its own.
public struct AgreedError: ProcessError {
  /// The exit code of every rank.
  public let exitCode: Int32
  /// What rank 0 prints behind the program's name.
  public let description: String
  /// What was thrown, where this rank has it as a value and not as text from another rank alone.
  public let error: (any ProcessError)?

  /// An error that this rank has, and that every other rank has as well: one that follows from the command line alone.
  public init(_ error: any ProcessError) {
    exitCode = error.exitCode
    description = error.description
    self.error = error
  }

  init(exitCode: Int32, description: String) {
    self.exitCode = exitCode
    self.description = description
    error = nil
  }
}

extension Communicator {
  /// Every rank passes an error or nil; if any rank has one, all ranks throw the lowest rank's. Collective.
  ///
  /// For what may fail on one rank and not on another, such as reading a file, before the next collective: a rank that threw
  /// alone would leave the others waiting.
  /// - Throws: ``AgreedError`` with that rank and its host in the description, without them where all have the same error;
  ///   ``CommunicationError``.
  public func agree(_ error: (any ProcessError)?) throws {
    let codes = try allGather([error?.exitCode ?? 0])
    guard let first = codes.firstIndex(where: { $0 != 0 }) else { return }
    let words = try allGather(text: error.map { "rank \(rank) on host \(hostName): \($0.description)" } ?? "")
    // Where every rank has the same error it belongs to none of them.
    let own = try allGather(text: error?.description ?? "")
    let same = own.allSatisfy { $0 == own[first] }
    throw AgreedError(exitCode: codes[first], description: same ? own[first] : words[first])
  }
}
