#if canImport(Glibc)
  internal import Glibc
#endif

/// Ranks that are threads of one process; alone, the one rank of a run without a launcher.
///
/// Obeys the same laws as ``MPICommunicator`` and is stricter: collectives that do not match are an error with both
/// ranks' words, where MPI would hang.
public final class LocalCommunicator: Communicator {
  public let rank: Int
  public var size: Int { group.size }
  public let hostName = localHostName()
  public private(set) var traffic = Traffic()
  private let group: LocalGroup
  /// Calls of ``split(group:)``.
  private var splits = 0

  /// The only rank of a group of one.
  public convenience init() { self.init(rank: 0, of: LocalGroup(size: 1)) }

  init(rank: Int, of group: LocalGroup) {
    self.rank = rank
    self.group = group
  }

  public func barrier() throws(CommunicationError) {
    try meet("barrier", rowBytes: 0, root: 0) { _ in }
  }

  public func broadcast(_ buffer: UnsafeMutableRawBufferPointer, root: Int) throws(CommunicationError) {
    count(sent: rank == root ? buffer.count * (size - 1) : 0, received: rank == root ? 0 : buffer.count)
    let mine = LocalOffer(bytes: UnsafeRawBufferPointer(buffer), rows: [buffer.count])
    try meet("broadcast", rowBytes: 1, root: root, mine, rowsMustMatch: true) { offers in
      if self.rank != root {
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: offers[root].bytes.prefix(buffer.count)))
      }
    }
  }

  public func gather(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer, _ counts: Partition,
    rowBytes: Int, root: Int
  ) throws(CommunicationError) {
    let mine = counts.counts[rank] * rowBytes
    count(sent: rank == root ? 0 : mine, received: rank == root ? counts.total * rowBytes - mine : 0)
    try meet(
      "gather", rowBytes: rowBytes, root: root, LocalOffer(bytes: send, rows: counts.counts),
      rowsMustMatch: true
    ) { offers in
      guard self.rank == root else { return }
      for r in 0..<self.size {
        copy(offers[r].bytes, 0, receive, counts.offsets[r], counts.counts[r], rowBytes)
      }
    }
  }

  public func scatter(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer, _ counts: Partition,
    rowBytes: Int, root: Int
  ) throws(CommunicationError) {
    let mine = counts.counts[rank] * rowBytes
    count(sent: rank == root ? counts.total * rowBytes - mine : 0, received: rank == root ? 0 : mine)
    try meet(
      "scatter", rowBytes: rowBytes, root: root, LocalOffer(bytes: send, rows: counts.counts),
      rowsMustMatch: true
    ) { offers in
      copy(offers[root].bytes, counts.offsets[self.rank], receive, 0, counts.counts[self.rank], rowBytes)
    }
  }

  public func allGather(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer, _ counts: Partition,
    rowBytes: Int
  ) throws(CommunicationError) {
    let mine = counts.counts[rank] * rowBytes
    count(sent: mine * (size - 1), received: counts.total * rowBytes - mine)
    try meet(
      "allGather", rowBytes: rowBytes, root: 0, LocalOffer(bytes: send, rows: counts.counts),
      rowsMustMatch: true
    ) { offers in
      for r in 0..<self.size {
        copy(offers[r].bytes, 0, receive, counts.offsets[r], counts.counts[r], rowBytes)
      }
    }
  }

  public func allToAll(
    _ send: UnsafeRawBufferPointer, _ outgoing: Partition, into receive: UnsafeMutableRawBufferPointer,
    _ incoming: Partition, rowBytes: Int
  ) throws(CommunicationError) {
    count(
      sent: outgoing.rows(besides: rank) * rowBytes, received: incoming.rows(besides: rank) * rowBytes)
    let offer = LocalOffer(bytes: send, rows: outgoing.counts)
    try meet("allToAll", rowBytes: rowBytes, root: 0, offer) { (offers) throws(CommunicationError) in
      for r in 0..<self.size {
        let sent = offers[r].rows[self.rank]
        guard sent == incoming.counts[r] else {
          throw CommunicationError(
            function: "allToAll", code: 1,
            reason: "rank \(r) sends \(sent) rows to rank \(self.rank), which expects \(incoming.counts[r])")
        }
        let start = offers[r].rows[0..<self.rank].reduce(0, +)
        copy(offers[r].bytes, start, receive, incoming.offsets[r], sent, rowBytes)
      }
    }
  }

  public func send(
    _ bytes: UnsafeRawBufferPointer, to rank: Int, tag: Int
  ) throws(CommunicationError) -> any PendingOperation {
    count(sent: rank == self.rank ? 0 : bytes.count, received: 0)
    try group.post(Array(bytes), from: self.rank, to: rank, tag: tag)
    return DonePending()
  }

  public func receive(
    into bytes: UnsafeMutableRawBufferPointer, from rank: Int, tag: Int
  ) throws(CommunicationError) -> any PendingOperation {
    count(sent: 0, received: rank == self.rank ? 0 : bytes.count)
    return LocalReceive(group: group, into: bytes, from: rank, to: self.rank, tag: tag)
  }

  public func split(group: Int) throws(CommunicationError) -> any Communicator {
    precondition(group >= 0, "a group's number is not negative")
    let groups = try allGather([group])
    splits += 1
    let members = groups.indices.filter { groups[$0] == group }
    let part = self.group.part(members, split: splits)
    return LocalCommunicator(rank: groups[..<rank].count { $0 == group }, of: part)
  }

  private func count(sent: Int, received: Int) {
    traffic.calls += 1
    traffic.bytesSent += sent
    traffic.bytesReceived += received
  }

  private func meet(
    _ operation: String, rowBytes: Int, root: Int,
    _ offer: LocalOffer = LocalOffer(bytes: .init(start: nil, count: 0), rows: []),
    rowsMustMatch: Bool = false, _ body: ([LocalOffer]) throws(CommunicationError) -> Void
  ) throws(CommunicationError) {
    guard size > 1 else { return try body([offer]) }
    var call = "\(operation) of \(rowBytes)-byte rows, root \(root)"
    if rowsMustMatch { call += ", counts \(offer.rows)" }
    try group.meet(rank, call, offer, body)
  }
}

/// Copies rows between buffers.
private func copy(
  _ source: UnsafeRawBufferPointer, _ from: Int, _ target: UnsafeMutableRawBufferPointer, _ to: Int,
  _ rows: Int,
  _ rowBytes: Int
) {
  guard rows > 0 else { return }
  let bytes = rows * rowBytes
  precondition(source.count >= from * rowBytes + bytes, "a message's buffer holds all of its rows")
  precondition(target.count >= to * rowBytes + bytes, "a message's buffer holds all of its rows")
  UnsafeMutableRawBufferPointer(rebasing: target[(to * rowBytes)..<(to * rowBytes + bytes)])
    .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[(from * rowBytes)..<(from * rowBytes + bytes)]))
}

/// Complete from the beginning: a local send copies.
private final class DonePending: PendingOperation {
  func wait() throws(CommunicationError) {}
}

private final class LocalReceive: PendingOperation {
  private let group: LocalGroup
  private let target: UnsafeMutableRawBufferPointer
  private let source: Int
  private let rank: Int
  private let tag: Int
  private var done = false

  init(
    group: LocalGroup, into target: UnsafeMutableRawBufferPointer, from source: Int, to rank: Int, tag: Int
  ) {
    self.group = group
    self.target = target
    self.source = source
    self.rank = rank
    self.tag = tag
  }

  func wait() throws(CommunicationError) {
    guard !done else { return }
    done = true
    let bytes = try group.take(from: source, to: rank, tag: tag)
    guard bytes.count == target.count else {
      throw CommunicationError(
        function: "receive", code: 1,
        reason: "rank \(source) sent \(bytes.count) bytes, rank \(rank) expects \(target.count)")
    }
    bytes.withUnsafeBytes { target.copyMemory(from: $0) }
  }
}

/// This machine's name.
func localHostName() -> String {
  var name = [CChar](repeating: 0, count: 256)
  gethostname(&name, 255)
  return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
