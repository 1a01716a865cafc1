/// Collectives on arrays and texts: ``Communicator``'s on buffers, with the buffers made here. All ranks call them in the
/// same order.
extension Communicator {
  // MARK: Gather

  /// Collects the same number of values from every rank on all ranks, in rank order.
  ///
  /// - Throws: ``CommunicationError``, as every call here.
  public func allGather<Value: BitwiseCopyable>(_ values: [Value]) throws(CommunicationError) -> [Value] {
    let counts = Partition(counts: Array(repeating: values.count, count: size))
    return try allGather(values, counts)
  }

  /// Collects `counts[r]` values from every rank r on all ranks, in rank order.
  public func allGather<Value: BitwiseCopyable>(
    _ values: [Value], _ counts: Partition
  ) throws(CommunicationError) -> [Value] {
    precondition(values.count == counts.counts[rank], "a rank sends as many values as were announced")
    return try filled(counts.total) { (bytes, stride) throws(CommunicationError) in
      try values.withUnsafeBufferPointer { (mine) throws(CommunicationError) in
        try allGather(UnsafeRawBufferPointer(mine), into: bytes, counts, rowBytes: stride)
      }
    }
  }

  /// Collects a text from every rank on all ranks.
  public func allGather(text: String) throws(CommunicationError) -> [String] {
    let bytes = Array(text.utf8)
    let counts = Partition(counts: try allGather([bytes.count]))
    let all = try allGather(bytes, counts)
    return (0..<size).map { String(decoding: all[counts[$0]], as: UTF8.self) }
  }

  /// Copies the root's text to every rank.
  public func broadcast(text: String, root: Int = 0) throws(CommunicationError) -> String {
    try allGather(text: rank == root ? text : "")[root]
  }

  // MARK: All to all

  /// Sends `outgoing[r]` values to every rank r and receives `incoming[r]` from it.
  ///
  /// - Parameters:
  ///   - values: those for rank 0 first, then those for rank 1, and so on.
  ///   - outgoing: how many of them each rank gets.
  ///   - incoming: what the others send to this rank; see ``incoming(for:)`` where it is not known.
  /// - Returns: the values of rank 0 first, and so on.
  public func allToAll<Value: BitwiseCopyable>(
    _ values: [Value], _ outgoing: Partition, _ incoming: Partition
  ) throws(CommunicationError) -> [Value] {
    precondition(values.count == outgoing.total, "a rank sends as many values as were announced")
    return try filled(incoming.total) { (bytes, stride) throws(CommunicationError) in
      try values.withUnsafeBufferPointer { (mine) throws(CommunicationError) in
        try allToAll(UnsafeRawBufferPointer(mine), outgoing, into: bytes, incoming, rowBytes: stride)
      }
    }
  }

  /// How many rows every rank sends to this one, when each says how many it sends to whom.
  public func incoming(for outgoing: Partition) throws(CommunicationError) -> Partition {
    let one = Partition(counts: Array(repeating: 1, count: size))
    return Partition(counts: try allToAll(outgoing.counts, one, one))
  }

  // MARK: Reduce

  /// The largest of all ranks' values, on all ranks.
  public func allReduceMax(_ value: Int) throws(CommunicationError) -> Int {
    try allGather([value]).max() ?? value
  }

  /// By rank, ascending; for a transport that has nothing faster.
  public func allReduceSum(_ numbers: UnsafeMutableBufferPointer<Float>) throws(CommunicationError) {
    let all = try allGather(Array(numbers))
    for index in numbers.indices {
      numbers[index] = (0..<size).reduce(0) { $0 + all[$1 * numbers.count + index] }
    }
  }

  // MARK: Memory

  /// An array of so many values whose bytes the body writes.
  private func filled<Value: BitwiseCopyable>(
    _ count: Int, _ body: (UnsafeMutableRawBufferPointer, Int) throws(CommunicationError) -> Void
  ) throws(CommunicationError) -> [Value] {
    let stride = MemoryLayout<Value>.stride
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: max(count * stride, 1), alignment: 16)
    defer { bytes.deallocate() }
    try body(bytes, stride)
    return Array(bytes.bindMemory(to: Value.self).prefix(count))
  }
}
