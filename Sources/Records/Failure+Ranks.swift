public import Dist
public import Files

/// Ends a job with its exit code.
extension Failure: ProcessError {}

extension Communicator {
  /// ``agree(_:)`` for a failure, which is one on every rank: the settings that it names can still be spelled as options.
  ///
  /// - Throws: ``AgreedError`` of a ``Failure``; ``CommunicationError``.
  package func agree(on failure: Failure?) throws {
    let codes = try allGather([failure?.exitCode ?? 0])
    guard let first = codes.firstIndex(where: { $0 != 0 }) else { return }
    let places = try allGather(text: "rank \(rank) on host \(hostName)")
    let texts = try allGather(text: failure?.words.encoded ?? "")
    let words = Message(encoded: texts[first])
    // Where every rank has the same failure it belongs to none of them.
    let isShared = texts.allSatisfy { $0 == texts[first] }
    throw AgreedError(
      Failure(
        ExitCode(rawValue: codes[first]) ?? .internalError, isShared ? words : "\(places[first]): \(words)"))
  }
}

extension Failure {
  /// The failure behind an error, where there is one: itself, or what the ranks agreed on.
  package init?(behind error: any Error) {
    guard let found = error as? Failure ?? (error as? AgreedError)?.error as? Failure else { return nil }
    self = found
  }
}

extension Message {
  /// What an error that ends a run says.
  package init(_ error: any Error) {
    self =
      Failure(behind: error)?.words
      ?? Message(
        (error as? any ProcessError)?.description ?? (error as? CommunicationError)?.description
          ?? "internal error: \(error)")
  }
}
