internal import Dist
internal import Files

/// One outcome for all ranks: each says whether its part succeeded, and all learn of the first failure.
///
/// An error on one rank alone would leave the others waiting in the next collective.
struct Vote {
  let communicator: any Communicator

  /// Runs this rank's part, then throws on every rank the failure of the lowest rank that has one.
  func agree<Value>(_ part: () throws(Failure) -> Value) throws -> Value {
    let outcome: Result<Value, Failure>
    do { outcome = .success(try part()) } catch { outcome = .failure(error) }

    var own: Failure?
    if case .failure(let failure) = outcome { own = located(failure) }
    if let first = try firstFailure(own) { throw first }
    guard case .success(let value) = outcome else {
      preconditionFailure("this rank's own failure was voted on")
    }
    return value
  }

  private func located(_ failure: Failure) -> Failure {
    guard communicator.size > 1 else { return failure }
    return Failure(
      failure.code, "\(failure.words) (rank \(communicator.rank) on host \(communicator.hostName))")
  }

  /// A collective: every rank's exit code, and the messages when one has failed.
  private func firstFailure(_ own: Failure?) throws(CommunicationError) -> Failure? {
    let codes = try communicator.allGather([own?.exitCode ?? 0])
    guard let first = codes.firstIndex(where: { $0 != 0 }) else { return nil }
    let texts = try communicator.allGather(text: own?.words.encoded ?? "")
    return Failure(ExitCode(rawValue: codes[first]) ?? .internalError, Message(encoded: texts[first]))
  }
}
