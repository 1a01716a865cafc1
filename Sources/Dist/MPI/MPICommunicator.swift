internal import COpenMPI

/// Ranks that are processes, joined by Open MPI.
///
/// One method makes one MPI call and checks it. Rows travel as a contiguous datatype of `rowBytes` bytes, so counts are
/// rows and messages may exceed 2³¹ bytes. Not sendable: MPI is entered with MPI_THREAD_FUNNELED, so only the thread
/// that entered it may call.
public final class MPICommunicator: Communicator {
  public let rank: Int
  public let size: Int
  public let hostName: String
  public private(set) var traffic = Traffic()
  private let handle: MPI_Comm
  /// Is told when this rank waits for others.
  private let watchdog: Watchdog?
  /// Whether all ranks of the job are in it, whose exchanges are counted to find a rank that is late.
  private let isWorld: Bool
  /// Committed datatypes by bytes per row; one run uses a handful.
  private var rowTypes: [Int: MPI_Datatype] = [:]

  /// A duplicate of the world, so that its messages meet nobody else's.
  convenience init(_ watchdog: Watchdog?) throws(CommunicationError) {
    try check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler")
    var duplicate: MPI_Comm?
    try check(MPI_Comm_dup(MPI_COMM_WORLD, &duplicate), "MPI_Comm_dup")
    try self.init(duplicate, from: "MPI_Comm_dup", watchdog, isWorld: true)
  }

  private init(
    _ handle: MPI_Comm?, from function: String, _ watchdog: Watchdog?, isWorld: Bool
  ) throws(CommunicationError) {
    guard let handle else {
      throw CommunicationError(function: function, code: 0, reason: "no communicator was made")
    }
    self.handle = handle
    self.watchdog = watchdog
    self.isWorld = isWorld
    var rank: Int32 = 0
    try check(MPI_Comm_rank(handle, &rank), "MPI_Comm_rank")
    var size: Int32 = 0
    try check(MPI_Comm_size(handle, &size), "MPI_Comm_size")
    self.rank = Int(rank)
    self.size = Int(size)
    hostName = localHostName()
  }

  /// The MPI function is MPI_Comm_split.
  public func split(group: Int) throws(CommunicationError) -> any Communicator {
    precondition(0...Int(Int32.max) ~= group, "a group's number is not negative")
    traffic.calls += 1
    var part: MPI_Comm?
    try exchange("MPI_Comm_split") { MPI_Comm_split(handle, Int32(group), Int32(rank), &part) }
    return try MPICommunicator(part, from: "MPI_Comm_split", watchdog, isWorld: false)
  }

  /// The MPI function is MPI_Barrier.
  public func barrier() throws(CommunicationError) {
    traffic.calls += 1
    try exchange("MPI_Barrier") { MPI_Barrier(handle) }
  }

  /// The MPI function is MPI_Bcast.
  public func broadcast(_ buffer: UnsafeMutableRawBufferPointer, root: Int) throws(CommunicationError) {
    count(sent: rank == root ? buffer.count * (size - 1) : 0, received: rank == root ? 0 : buffer.count)
    let (rows, type) = try self.rows(ofBytes: buffer.count)
    try exchange("MPI_Bcast") { MPI_Bcast(buffer.baseAddress, rows, type, Int32(root), handle) }
  }

  /// The MPI function is MPI_Gatherv.
  public func gather(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer, _ counts: Partition,
    rowBytes: Int, root: Int
  ) throws(CommunicationError) {
    checkSizes(send, counts.counts[rank], rowBytes)
    if rank == root { checkSizes(UnsafeRawBufferPointer(receive), counts.total, rowBytes) }
    let mine = counts.counts[rank] * rowBytes
    count(sent: rank == root ? 0 : mine, received: rank == root ? counts.total * rowBytes - mine : 0)
    let type = try rowType(rowBytes)
    let (numbers, offsets) = wire(counts)
    try exchange("MPI_Gatherv") {
      MPI_Gatherv(
        send.baseAddress, numbers[rank], type, receive.baseAddress, numbers, offsets, type, Int32(root),
        handle)
    }
  }

  /// The MPI function is MPI_Scatterv.
  public func scatter(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer, _ counts: Partition,
    rowBytes: Int, root: Int
  ) throws(CommunicationError) {
    checkSizes(UnsafeRawBufferPointer(receive), counts.counts[rank], rowBytes)
    if rank == root { checkSizes(send, counts.total, rowBytes) }
    let mine = counts.counts[rank] * rowBytes
    count(sent: rank == root ? counts.total * rowBytes - mine : 0, received: rank == root ? 0 : mine)
    let type = try rowType(rowBytes)
    let (numbers, offsets) = wire(counts)
    try exchange("MPI_Scatterv") {
      MPI_Scatterv(
        send.baseAddress, numbers, offsets, type, receive.baseAddress, numbers[rank], type, Int32(root),
        handle)
    }
  }

  /// The MPI function is MPI_Allgatherv.
  public func allGather(
    _ send: UnsafeRawBufferPointer, into receive: UnsafeMutableRawBufferPointer, _ counts: Partition,
    rowBytes: Int
  ) throws(CommunicationError) {
    checkSizes(send, counts.counts[rank], rowBytes)
    checkSizes(UnsafeRawBufferPointer(receive), counts.total, rowBytes)
    let mine = counts.counts[rank] * rowBytes
    count(sent: mine * (size - 1), received: counts.total * rowBytes - mine)
    let type = try rowType(rowBytes)
    let (numbers, offsets) = wire(counts)
    let place = receive.baseAddress.map { UnsafeRawPointer($0 + counts.offsets[rank] * rowBytes) }
    let source = send.baseAddress == place ? UnsafeRawPointer(MPI_IN_PLACE) : send.baseAddress
    try exchange("MPI_Allgatherv") {
      MPI_Allgatherv(source, numbers[rank], type, receive.baseAddress, numbers, offsets, type, handle)
    }
  }

  /// The MPI function is MPI_Alltoallv.
  public func allToAll(
    _ send: UnsafeRawBufferPointer, _ outgoing: Partition, into receive: UnsafeMutableRawBufferPointer,
    _ incoming: Partition, rowBytes: Int
  ) throws(CommunicationError) {
    checkSizes(send, outgoing.total, rowBytes)
    checkSizes(UnsafeRawBufferPointer(receive), incoming.total, rowBytes)
    count(
      sent: outgoing.rows(besides: rank) * rowBytes, received: incoming.rows(besides: rank) * rowBytes)
    let type = try rowType(rowBytes)
    let (sendCounts, sendOffsets) = wire(outgoing)
    let (receiveCounts, receiveOffsets) = wire(incoming)
    try exchange("MPI_Alltoallv") {
      MPI_Alltoallv(
        send.baseAddress, sendCounts, sendOffsets, type, receive.baseAddress, receiveCounts, receiveOffsets,
        type,
        handle)
    }
  }

  /// The MPI function is MPI_Allreduce.
  public func allReduceSum(_ numbers: UnsafeMutableBufferPointer<Float>) throws(CommunicationError) {
    // What a ring moves; the library may choose another way.
    let moved = 2 * numbers.count * 4 * (size - 1) / size
    count(sent: moved, received: moved)
    try exchange("MPI_Allreduce") {
      MPI_Allreduce(MPI_IN_PLACE, numbers.baseAddress, Int32(numbers.count), MPI_FLOAT, MPI_SUM, handle)
    }
  }

  /// The MPI function is MPI_Isend.
  public func send(
    _ bytes: UnsafeRawBufferPointer, to rank: Int, tag: Int
  ) throws(CommunicationError) -> any PendingOperation {
    count(sent: rank == self.rank ? 0 : bytes.count, received: 0)
    let (rows, type) = try rows(ofBytes: bytes.count)
    var request: MPI_Request?
    try check(
      MPI_Isend(bytes.baseAddress, rows, type, Int32(rank), Int32(tag), handle, &request), "MPI_Isend")
    return MPIPending(request, watchdog)
  }

  /// The MPI function is MPI_Irecv.
  public func receive(
    into bytes: UnsafeMutableRawBufferPointer, from rank: Int, tag: Int
  ) throws(CommunicationError) -> any PendingOperation {
    count(sent: 0, received: rank == self.rank ? 0 : bytes.count)
    let (rows, type) = try rows(ofBytes: bytes.count)
    var request: MPI_Request?
    try check(
      MPI_Irecv(bytes.baseAddress, rows, type, Int32(rank), Int32(tag), handle, &request), "MPI_Irecv")
    return MPIPending(request, watchdog)
  }

  /// Makes a call in which all its ranks take part.
  private func exchange(_ function: StaticString, _ call: () -> Int32) throws(CommunicationError) {
    watchdog?.beginsWaiting(isExchange: isWorld)
    let code = call()
    watchdog?.endsWaiting()
    try check(code, function)
  }

  // MARK: Rows

  private func count(sent: Int, received: Int) {
    traffic.calls += 1
    traffic.bytesSent += sent
    traffic.bytesReceived += received
  }

  private func checkSizes(_ buffer: UnsafeRawBufferPointer, _ rows: Int, _ rowBytes: Int) {
    precondition(buffer.count >= rows * rowBytes, "a message's buffer holds all of its rows")
  }

  private func wire(_ partition: Partition) -> ([Int32], [Int32]) {
    precondition(partition.counts.count == size, "a partition has one count per rank")
    precondition(partition.total <= Int(Int32.max), "a message has fewer than 2³¹ rows")
    return (partition.counts.map { Int32($0) }, partition.offsets.map { Int32($0) })
  }

  private func rowType(_ bytes: Int) throws(CommunicationError) -> MPI_Datatype {
    if let type = rowTypes[bytes] { return type }
    precondition(bytes > 0 && bytes <= Int(Int32.max), "a row has between 1 and 2³¹ − 1 bytes")
    var type: MPI_Datatype?
    try check(MPI_Type_contiguous(Int32(bytes), MPI_BYTE, &type), "MPI_Type_contiguous")
    try check(MPI_Type_commit(&type), "MPI_Type_commit")
    guard let type else {
      throw CommunicationError(function: "MPI_Type_contiguous", code: 0, reason: "no datatype was made")
    }
    rowTypes[bytes] = type
    return type
  }

  /// Bytes without a row size: as bytes while they can be counted, else as rows of the largest power of two that fits.
  private func rows(ofBytes bytes: Int) throws(CommunicationError) -> (Int32, MPI_Datatype) {
    var rowBytes = 1
    while bytes / rowBytes > Int(Int32.max) { rowBytes *= 2 }
    precondition(bytes % rowBytes == 0, "a message beyond 2³¹ bytes is a whole number of rows")
    return (Int32(bytes / rowBytes), try rowType(rowBytes))
  }
}

/// An MPI request in flight.
private final class MPIPending: PendingOperation {
  private var request: MPI_Request?
  private let watchdog: Watchdog?

  init(_ request: MPI_Request?, _ watchdog: Watchdog?) {
    self.request = request
    self.watchdog = watchdog
  }

  /// MPI may still read or write the buffer, so an operation is completed before it is forgotten.
  deinit { if request != nil { MPI_Wait(&request, nil) } }

  /// The MPI function is MPI_Wait.
  func wait() throws(CommunicationError) {
    guard request != nil else { return }
    watchdog?.beginsWaiting(isExchange: false)
    let code = MPI_Wait(&request, nil)
    watchdog?.endsWaiting()
    request = nil
    try check(code, "MPI_Wait")
  }
}

/// Turns a return code into an error with MPI's own words.
func check(_ code: Int32, _ function: StaticString) throws(CommunicationError) {
  guard code != MPI_SUCCESS else { return }
  var length: Int32 = 0
  var text = [CChar](repeating: 0, count: Int(MPI_MAX_ERROR_STRING) + 1)
  MPI_Error_string(code, &text, &length)
  let words = text.prefix(Int(length)).map { UInt8(bitPattern: $0) }
  throw CommunicationError(
    function: "\(function)", code: code, reason: String(decoding: words, as: UTF8.self))
}
