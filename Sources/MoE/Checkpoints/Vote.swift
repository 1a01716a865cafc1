internal import Dist

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
      failure.code, "\(failure.message) (rank \(communicator.rank) on host \(communicator.hostName))")
  }

  /// A collective: every rank's exit code and length of message, then the messages.
  private func firstFailure(_ own: Failure?) throws(CommunicationError) -> Failure? {
    let size = communicator.size
    let message = Array((own?.message ?? "").utf8)
    let ballot = [Int64(own?.code.rawValue ?? 0), Int64(message.count)]
    var ballots = [Int64](repeating: 0, count: 2 * size)
    try gather(ballot, into: &ballots, Partition(counts: Array(repeating: 2, count: size)))
    guard let first = (0..<size).first(where: { ballots[2 * $0] != 0 }) else { return nil }

    let lengths = Partition(counts: (0..<size).map { Int(ballots[2 * $0 + 1]) })
    var messages = [UInt8](repeating: 0, count: lengths.total)
    try gather(message, into: &messages, lengths)
    let code = ExitCode(rawValue: Int32(ballots[2 * first])) ?? .internalError
    return Failure(code, String(decoding: messages[lengths[first]], as: UTF8.self))
  }

  private func gather<Element: BitwiseCopyable>(
    _ own: [Element], into all: inout [Element], _ counts: Partition
  ) throws(CommunicationError) {
    try own.withUnsafeBufferPointer { (own) throws(CommunicationError) in
      try all.withUnsafeMutableBufferPointer { (all) throws(CommunicationError) in
        try communicator.allGather(
          UnsafeRawBufferPointer(own), into: UnsafeMutableRawBufferPointer(all), counts,
          rowBytes: MemoryLayout<Element>.stride)
      }
    }
  }
}
