/// An error that all ranks know of: rank 0 says it, and all ranks end together instead of aborting the job.
public struct AgreedError: ProcessError {
  public let exitCode: Int32
  public let description: String

  public init(_ error: any ProcessError) {
    exitCode = error.exitCode
    description = error.description
  }

  init(exitCode: Int32, description: String) {
    self.exitCode = exitCode
    self.description = description
  }
}

extension Communicator {
  /// Collects the same number of values from every rank on all ranks, in rank order.
  public func allGather<Value: BitwiseCopyable>(_ values: [Value]) throws(CommunicationError) -> [Value] {
    let counts = Partition(counts: Array(repeating: values.count, count: size))
    return try allGather(values, counts)
  }

  /// Collects `counts[r]` values from every rank r on all ranks, in rank order.
  public func allGather<Value: BitwiseCopyable>(
    _ values: [Value], _ counts: Partition
  ) throws(CommunicationError) -> [Value] {
    precondition(values.count == counts.counts[rank], "a rank sends as many values as were announced")
    let stride = MemoryLayout<Value>.stride
    let bytes = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(counts.total * stride, 1), alignment: 16)
    defer { bytes.deallocate() }
    try values.withUnsafeBufferPointer { (mine) throws(CommunicationError) in
      try allGather(UnsafeRawBufferPointer(mine), into: bytes, counts, rowBytes: stride)
    }
    return Array(bytes.bindMemory(to: Value.self).prefix(counts.total))
  }

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

  /// Every rank passes an error or nil; if any rank has one, all ranks throw the lowest rank's. Collective.
  ///
  /// - Throws: ``AgreedError``
  public func agree(_ error: (any ProcessError)?) throws {
    let codes = try allGather([error?.exitCode ?? 0])
    guard let first = codes.firstIndex(where: { $0 != 0 }) else { return }
    let words = try allGather(text: error.map { "rank \(rank) on host \(hostName): \($0.description)" } ?? "")
    // Where every rank has the same error it belongs to none of them.
    let own = try allGather(text: error?.description ?? "")
    let same = own.allSatisfy { $0 == own[first] }
    throw AgreedError(exitCode: codes[first], description: same ? own[first] : words[first])
  }
}
