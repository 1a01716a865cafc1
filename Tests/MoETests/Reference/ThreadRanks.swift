import Dist
import Foundation

/// Runs a body once per rank, each on a thread of its own, and returns what they returned, by rank.
///
/// The communicator is the plainest that could carry a training step, so that a test of the step does not also test a
/// transport: every rank publishes what it sends, all meet, every rank copies what is its own, all meet again.
func onRanks<Result: Sendable>(
  _ ranks: Int, _ body: @escaping @Sendable (any Communicator) throws -> Result
) throws -> [Result] {
  let board = Board(ranks: ranks)
  let results = Results<Result>(ranks: ranks)
  for rank in 0..<ranks {
    let thread = Thread {
      let outcome = Swift.Result { try body(ThreadCommunicator(rank: rank, board: board)) }
      if case .failure = outcome { board.poison() }
      results.put(outcome, of: rank)
    }
    thread.stackSize = 16 << 20
    thread.start()
  }
  return try results.all()
}

/// The results of all ranks. Safe because every access holds the lock.
private final class Results<Value: Sendable>: @unchecked Sendable {
  private let condition = NSCondition()
  private var values: [Result<Value, any Error>?]

  init(ranks: Int) { values = Array(repeating: nil, count: ranks) }

  func put(_ value: Result<Value, any Error>, of rank: Int) {
    condition.lock()
    defer { condition.unlock() }
    values[rank] = value
    condition.broadcast()
  }

  func all() throws -> [Value] {
    condition.lock()
    defer { condition.unlock() }
    while values.contains(where: { $0 == nil }) { condition.wait() }
    // The first cause rather than the other ranks' complaint that somebody left.
    let failures = values.compactMap { value -> (any Error)? in
      guard case .failure(let error) = value else { return nil }
      return error
    }
    if let cause = failures.first(where: { !($0 is CommunicationError) }) ?? failures.first { throw cause }
    return try values.compactMap { try $0?.get() }
  }
}

/// Where ranks meet and show what they send. Safe because a rank writes its own place before a meeting, and the others
/// read it only between that meeting and the next.
private final class Board: @unchecked Sendable {
  struct Message {
    var bytes: UnsafeRawBufferPointer
    var partition: Partition
  }

  private let condition = NSCondition()
  let size: Int
  private var arrived = 0
  private var meetings = 0
  private var poisoned = false
  private var messages: [Message?]
  private var letters: [(from: Int, to: Int, tag: Int, bytes: [UInt8])] = []

  init(ranks: Int) {
    size = ranks
    messages = Array(repeating: nil, count: ranks)
  }

  func poison() {
    condition.lock()
    defer { condition.unlock() }
    poisoned = true
    condition.broadcast()
  }

  func post(_ bytes: [UInt8], from: Int, to: Int, tag: Int) {
    condition.lock()
    defer { condition.unlock() }
    letters.append((from, to, tag, bytes))
    condition.broadcast()
  }

  func take(from: Int, to: Int, tag: Int) throws(CommunicationError) -> [UInt8] {
    condition.lock()
    defer { condition.unlock() }
    while !poisoned {
      if let index = letters.firstIndex(where: { $0.from == from && $0.to == to && $0.tag == tag }) {
        return letters.remove(at: index).bytes
      }
      condition.wait()
    }
    throw CommunicationError(function: "take", code: 1, reason: "another rank failed")
  }

  func meet() throws(CommunicationError) {
    condition.lock()
    defer { condition.unlock() }
    arrived += 1
    let meeting = meetings
    if arrived == size {
      arrived = 0
      meetings += 1
      condition.broadcast()
    }
    while meeting == meetings && !poisoned { condition.wait() }
    if poisoned { throw CommunicationError(function: "meet", code: 1, reason: "another rank failed") }
  }

  func exchange(_ message: Message, of rank: Int, read: ([Message]) -> Void) throws(CommunicationError) {
    condition.lock()
    messages[rank] = message
    condition.unlock()
    try meet()
    condition.lock()
    let all = messages.compactMap { $0 }
    condition.unlock()
    read(all)
    try meet()
  }
}

private final class ThreadCommunicator: Communicator {
  let rank: Int
  let size: Int
  let hostName = "localhost"
  let traffic = Traffic()
  private let board: Board

  init(rank: Int, board: Board) {
    self.rank = rank
    self.board = board
    size = board.size
  }

  func barrier() throws(CommunicationError) { try board.meet() }

  func broadcast(_ buffer: UnsafeMutableRawBufferPointer, root: Int) throws(CommunicationError) {
    let message = Board.Message(bytes: UnsafeRawBufferPointer(buffer), partition: Partition(counts: []))
    try board.exchange(message, of: rank) { all in
      if self.rank != root { buffer.copyMemory(from: all[root].bytes) }
    }
  }

  func gather(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer, _ counts: Partition,
    rowBytes: Int, root: Int
  ) throws(CommunicationError) {
    let everything = Partition(counts: (0..<size).map { $0 == root ? counts.counts[rank] : 0 })
    let incoming = rank == root ? counts : Partition(counts: counts.counts.map { _ in 0 })
    try allToAll(send, everything, into: receive, incoming, rowBytes: rowBytes)
  }

  func scatter(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer, _ counts: Partition,
    rowBytes: Int, root: Int
  ) throws(CommunicationError) {
    let nothing = Partition(counts: counts.counts.map { _ in 0 })
    let mine = Partition(counts: (0..<size).map { $0 == root ? counts.counts[rank] : 0 })
    try allToAll(send, rank == root ? counts : nothing, into: receive, mine, rowBytes: rowBytes)
  }

  func allGather(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer, _ counts: Partition,
    rowBytes: Int
  ) throws(CommunicationError) {
    let message = Board.Message(bytes: send, partition: Partition(counts: []))
    try board.exchange(message, of: rank) { all in
      for (rank, message) in all.enumerated() {
        copy(
          message.bytes, 0..<counts.counts[rank] * rowBytes, to: receive, at: counts.offsets[rank] * rowBytes)
      }
    }
  }

  func allToAll(
    _ send: UnsafeRawBufferPointer, _ outgoing: Partition, into receive: UnsafeMutableRawBufferPointer,
    _ incoming: Partition, rowBytes: Int
  ) throws(CommunicationError) {
    try board.exchange(Board.Message(bytes: send, partition: outgoing), of: rank) { all in
      for (source, message) in all.enumerated() {
        let rows = message.partition[self.rank]
        precondition(rows.count == incoming.counts[source], "what is sent is what is expected")
        copy(
          message.bytes, rows.lowerBound * rowBytes..<rows.upperBound * rowBytes, to: receive,
          at: incoming.offsets[source] * rowBytes)
      }
    }
  }

  private func copy(
    _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, to target: UnsafeMutableRawBufferPointer,
    at offset: Int
  ) {
    guard !range.isEmpty else { return }
    UnsafeMutableRawBufferPointer(rebasing: target[offset..<offset + range.count])
      .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[range]))
  }

  func send(
    _ bytes: UnsafeRawBufferPointer, to rank: Int, tag: Int
  ) throws(CommunicationError) -> any PendingOperation {
    board.post(Array(bytes), from: self.rank, to: rank, tag: tag)
    return Receipt {}
  }

  func receive(
    into bytes: UnsafeMutableRawBufferPointer, from rank: Int, tag: Int
  ) throws(CommunicationError) -> any PendingOperation {
    Receipt { [board, me = self.rank] () throws(CommunicationError) in
      bytes.copyBytes(from: try board.take(from: rank, to: me, tag: tag))
    }
  }
}

private final class Receipt: PendingOperation {
  private var finish: (() throws(CommunicationError) -> Void)?

  init(_ finish: @escaping () throws(CommunicationError) -> Void) { self.finish = finish }

  func wait() throws(CommunicationError) {
    let last = finish
    finish = nil
    try last?()
  }
}
