/// A fixed group of ranks that exchange messages together.
///
/// Two implementations obey the same laws: ``MPICommunicator`` over Open MPI, and ``LocalCommunicator``, whose ranks are
/// threads of one process. Every method except ``send(_:to:tag:)`` and ``receive(into:from:tag:)`` is a collective:
/// all ranks call it, in the same order, with counts that may be zero.
///
/// Counts are in *rows* of `rowBytes` bytes, so that a message may exceed 2³¹ bytes; rows per message and bytes per row are
/// below 2³¹. Buffers that a call does not use (the receive buffer of a gather on a rank that is not the root) may be empty;
/// a buffer that is too small for its rows is a programming error and ends the process.
///
/// Every method throws a ``CommunicationError`` where the transport cannot deliver. ``Ranks/run(_:environment:watchdog:onFailure:_:)``
/// hands one to its body. On arrays and texts: ``allGather(_:)``, ``allToAll(_:_:_:)``, ``broadcast(text:root:)``.
public protocol Communicator: AnyObject {
  /// This rank's number, 0 ..< size.
  var rank: Int { get }
  /// Number of ranks.
  var size: Int { get }
  /// The host that this rank runs on.
  var hostName: String { get }
  /// What has crossed between ranks so far, counted where the transport is called.
  var traffic: Traffic { get }

  /// Returns when every rank has called it.
  func barrier() throws(CommunicationError)

  /// Copies the root's bytes to every rank.
  func broadcast(_ buffer: UnsafeMutableRawBufferPointer, root: Int) throws(CommunicationError)

  /// Collects `counts[r]` rows from every rank r on the root, in rank order.
  func gather(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer,
    _ counts: Partition, rowBytes: Int, root: Int) throws(CommunicationError)

  /// Hands `counts[r]` rows of the root's buffer to every rank r, in rank order.
  func scatter(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer,
    _ counts: Partition, rowBytes: Int, root: Int) throws(CommunicationError)

  /// Collects `counts[r]` rows from every rank r on all ranks, in rank order. What a rank sends may lie where it would
  /// arrive, on all ranks or on none.
  func allGather(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer,
    _ counts: Partition, rowBytes: Int) throws(CommunicationError)

  /// Sends `outgoing[r]` rows to every rank r and receives `incoming[r]` rows from it. The outgoing rows lie one behind
  /// the other.
  func allToAll(
    _ send: UnsafeRawBufferPointer, _ outgoing: Partition,
    into receive: UnsafeMutableRawBufferPointer, _ incoming: Partition,
    rowBytes: Int) throws(CommunicationError)

  /// Replaces every number by its sum over the ranks, the same on all ranks; in which order it is taken, and so its last
  /// bits, is the transport's business and depends on the number of ranks.
  func allReduceSum(_ numbers: UnsafeMutableBufferPointer<Float>) throws(CommunicationError)

  /// Starts to send; the bytes belong to the operation until it has been waited for.
  ///
  /// - Parameters:
  ///   - bytes: the message.
  ///   - rank: the receiver.
  ///   - tag: from 0; a message is received by the rank that asks for its sender and tag.
  func send(_ bytes: UnsafeRawBufferPointer, to rank: Int, tag: Int) throws(CommunicationError)
    -> any PendingOperation

  /// Starts to receive as many bytes as the buffer has; they belong to the operation until it has been waited for.
  func receive(into bytes: UnsafeMutableRawBufferPointer, from rank: Int, tag: Int)
    throws(CommunicationError) -> any PendingOperation

  /// Parts the ranks: those that give the same number become a communicator of their own, in the order that they have here,
  /// and count their ranks from 0. Collective. Messages of one are not seen by another.
  ///
  /// - Parameter group: from 0.
  /// - Returns: the communicator of this rank's group.
  func split(group: Int) throws(CommunicationError) -> any Communicator
}

extension Communicator {
  /// For a transport that cannot part its ranks.
  ///
  /// - Throws: ``CommunicationError``, always.
  public func split(group: Int) throws(CommunicationError) -> any Communicator {
    throw CommunicationError(function: "split", code: 1, reason: "these ranks cannot be parted into groups")
  }
}

/// An operation in flight.
public protocol PendingOperation: AnyObject {
  /// Returns when the operation is complete. Waiting twice is allowed and does nothing.
  func wait() throws(CommunicationError)
}

/// Bytes and calls counted where the transport is called; bytes that a rank sends to itself are not counted.
public struct Traffic: Equatable, Sendable {
  /// Bytes sent to other ranks.
  public var bytesSent = 0
  /// Bytes received from other ranks.
  public var bytesReceived = 0
  /// Calls of collectives and of send and receive.
  public var calls = 0

  /// Nothing yet.
  public init() {}

  /// Adds another count to this one.
  public mutating func add(_ other: Traffic) {
    bytesSent += other.bytesSent
    bytesReceived += other.bytesReceived
    calls += other.calls
  }

  /// What was added since `earlier`.
  public func since(_ earlier: Traffic) -> Traffic {
    var difference = Traffic()
    difference.bytesSent = bytesSent - earlier.bytesSent
    difference.bytesReceived = bytesReceived - earlier.bytesReceived
    difference.calls = calls - earlier.calls
    return difference
  }
}
