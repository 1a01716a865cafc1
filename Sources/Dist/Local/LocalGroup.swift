internal import Foundation

/// What a rank shows the others in a collective.
struct LocalOffer {
  let bytes: UnsafeRawBufferPointer
  /// Rows per rank.
  let rows: [Int]
}

/// Where the threads of a local group meet.
///
/// Locking rule: every stored variable is read and written under `condition`'s lock alone, except that between the two
/// waits of `meet` the offers are read without it, when nobody may write them.
public final class LocalGroup: @unchecked Sendable {
  let size: Int
  private let condition = NSCondition()
  private var offers: [LocalOffer?]
  private var calls: [String]
  private var waiting = 0
  private var generation = 0
  private var failure: CommunicationError?
  private var mail: [(from: Int, to: Int, tag: Int, bytes: [UInt8])] = []
  /// Groups of some of these ranks, by which split made them and by their first rank.
  private var parts: [(split: Int, first: Int, group: LocalGroup)] = []

  init(size: Int) {
    self.size = size
    offers = Array(repeating: nil, count: size)
    calls = Array(repeating: "", count: size)
  }

  /// Runs the body once per rank, each on a thread of its own, and returns the results in rank order.
  ///
  /// - Throws: the error of the lowest rank that failed by itself; the others are told and stop waiting.
  public static func run<Result: Sendable>(
    ranks: Int, _ body: @escaping @Sendable (LocalCommunicator) throws -> Result
  ) throws -> [Result] {
    let group = LocalGroup(size: ranks)
    let results = Results<Result>(count: ranks)
    for rank in 0..<ranks {
      let thread = Thread {
        do {
          results.set(rank, .success(try body(LocalCommunicator(rank: rank, of: group))))
        } catch {
          results.set(rank, .failure(error))
          group.poison("rank \(rank) failed: \(error)")
        }
      }
      thread.stackSize = 16 << 20
      thread.start()
    }
    return try results.wait()
  }

  /// Publishes the offer, waits for all, lets every rank read all offers, and waits until all have read.
  func meet(
    _ rank: Int, _ call: String, _ offer: LocalOffer,
    _ body: ([LocalOffer]) throws(CommunicationError) -> Void
  ) throws(CommunicationError) {
    condition.lock()
    offers[rank] = offer
    calls[rank] = call
    condition.unlock()
    try rendezvous { [self] in
      if let other = calls.indices.first(where: { calls[$0] != calls[0] }) {
        failure = CommunicationError(
          function: "collective", code: 2,
          reason: "rank 0 calls \(calls[0]) while rank \(other) calls \(calls[other])")
      }
    }
    let all = offers.map { $0 ?? LocalOffer(bytes: UnsafeRawBufferPointer(start: nil, count: 0), rows: []) }
    do {
      try body(all)
    } catch {
      poison(error.reason)
      throw error
    }
    try rendezvous {}
  }

  /// Waits for all ranks; the last to arrive runs `complete`.
  private func rendezvous(_ complete: () -> Void) throws(CommunicationError) {
    condition.lock()
    defer { condition.unlock() }
    if let failure { throw failure }
    let mine = generation
    waiting += 1
    if waiting == size {
      waiting = 0
      generation += 1
      complete()
      condition.broadcast()
    }
    while generation == mine && failure == nil { condition.wait() }
    if let failure { throw failure }
  }

  /// Makes every waiting and later call fail with these words, also those of the groups that it was split into.
  func poison(_ reason: String) {
    condition.lock()
    if failure == nil { failure = CommunicationError(function: "local group", code: 3, reason: reason) }
    condition.broadcast()
    let parts = parts
    condition.unlock()
    for part in parts { part.group.poison(reason) }
  }

  /// The group of some ranks, which the first of them that asks makes.
  ///
  /// - Parameters:
  ///   - members: ascending, not empty.
  ///   - split: the number of the call that parts the ranks.
  func part(_ members: [Int], split: Int) -> LocalGroup {
    condition.lock()
    defer { condition.unlock() }
    if let known = parts.first(where: { $0.split == split && $0.first == members[0] }) { return known.group }
    let group = LocalGroup(size: members.count)
    group.failure = failure
    parts.append((split, members[0], group))
    return group
  }

  func post(_ bytes: [UInt8], from: Int, to: Int, tag: Int) throws(CommunicationError) {
    condition.lock()
    defer { condition.unlock() }
    if let failure { throw failure }
    mail.append((from, to, tag, bytes))
    condition.broadcast()
  }

  func take(from: Int, to: Int, tag: Int) throws(CommunicationError) -> [UInt8] {
    condition.lock()
    defer { condition.unlock() }
    while true {
      if let index = mail.firstIndex(where: { $0.from == from && $0.to == to && $0.tag == tag }) {
        return mail.remove(at: index).bytes
      }
      if let failure { throw failure }
      condition.wait()
    }
  }
}

/// The ranks' results; guarded by its condition's lock.
private final class Results<Value: Sendable>: @unchecked Sendable {
  private let condition = NSCondition()
  private var values: [Result<Value, any Error>?]

  init(count: Int) { values = Array(repeating: nil, count: count) }

  func set(_ rank: Int, _ value: Result<Value, any Error>) {
    condition.lock()
    values[rank] = value
    condition.broadcast()
    condition.unlock()
  }

  func wait() throws -> [Value] {
    condition.lock()
    while values.contains(where: { $0 == nil }) { condition.wait() }
    let all = values.compactMap { $0 }
    condition.unlock()
    var first: (any Error)?
    for case .failure(let error) in all {
      // A rank that was only told of another's failure does not hide it.
      if let told = error as? CommunicationError, told.function == "local group" {
        if first == nil { first = error }
      } else {
        throw error
      }
    }
    if let first { throw first }
    return try all.map { try $0.get() }
  }
}
