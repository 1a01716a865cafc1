import Dist
import Foundation
import MoE

/// Runs `body` once per rank, on threads; the results in the order of ranks.
func onRanks<Value: Sendable>(
  _ count: Int, _ body: @escaping @Sendable (any Communicator) throws -> Value
) -> [Result<Value, any Error>] {
  let room = MeetingRoom(size: count)
  let results = Results<Value>(count: count)
  let group = DispatchGroup()
  for rank in 0..<count {
    group.enter()
    Thread {
      results.set(Result { try body(ThreadRank(rank: rank, room: room)) }, at: rank)
      group.leave()
    }.start()
  }
  group.wait()
  return results.all
}

private final class Results<Value: Sendable>: @unchecked Sendable {
  private let lock = NSLock()
  private var values: [Result<Value, any Error>?]

  init(count: Int) { values = Array(repeating: nil, count: count) }
  func set(_ value: Result<Value, any Error>, at index: Int) { lock.withLock { values[index] = value } }
  var all: [Result<Value, any Error>] { lock.withLock { values.map { $0! } } }
}

/// Where the ranks meet: each leaves its bytes, and all take everybody's when the last has come.
private final class MeetingRoom: @unchecked Sendable {
  let size: Int
  private let condition = NSCondition()
  private var left: [[UInt8]]
  private var taken: [[UInt8]] = []
  private var arrived = 0
  private var round = 0

  init(size: Int) {
    self.size = size
    left = Array(repeating: [], count: size)
  }

  func exchange(_ bytes: [UInt8], from rank: Int) -> [[UInt8]] {
    condition.lock()
    defer { condition.unlock() }
    left[rank] = bytes
    arrived += 1
    let own = round
    if arrived == size {
      taken = left
      arrived = 0
      round += 1
      condition.broadcast()
    }
    // Nobody can finish the next round, and overwrite what was taken, before all have left this one.
    while round == own { condition.wait() }
    return taken
  }
}

/// The collectives that the checkpoint writer uses, over threads.
private final class ThreadRank: Communicator {
  let rank: Int
  private let room: MeetingRoom

  init(rank: Int, room: MeetingRoom) {
    self.rank = rank
    self.room = room
  }

  var size: Int { room.size }
  var hostName: String { "test" }
  var traffic: Traffic { Traffic() }

  func barrier() throws(CommunicationError) { _ = room.exchange([], from: rank) }

  func broadcast(_ buffer: UnsafeMutableRawBufferPointer, root: Int) throws(CommunicationError) {
    buffer.copyBytes(from: room.exchange(Array(buffer), from: rank)[root])
  }

  func gather(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer, _ counts: Partition,
    rowBytes: Int, root: Int
  ) throws(CommunicationError) {
    let all = room.exchange(Array(send), from: rank)
    if rank == root { receive.copyBytes(from: all.joined()) }
  }

  func allGather(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer, _ counts: Partition,
    rowBytes: Int
  ) throws(CommunicationError) {
    receive.copyBytes(from: room.exchange(Array(send), from: rank).joined())
  }

  func scatter(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer, _ counts: Partition,
    rowBytes: Int, root: Int
  ) throws(CommunicationError) { throw unused("scatter") }

  func allToAll(
    _ send: UnsafeRawBufferPointer, _ outgoing: Partition, into receive: UnsafeMutableRawBufferPointer,
    _ incoming: Partition, rowBytes: Int
  ) throws(CommunicationError) { throw unused("allToAll") }

  func send(_ bytes: UnsafeRawBufferPointer, to rank: Int, tag: Int)
    throws(CommunicationError) -> any PendingOperation
  { throw unused("send") }

  func receive(into bytes: UnsafeMutableRawBufferPointer, from rank: Int, tag: Int)
    throws(CommunicationError) -> any PendingOperation
  { throw unused("receive") }

  private func unused(_ function: String) -> CommunicationError {
    CommunicationError(function: function, code: -1, reason: "not expected here")
  }
}
