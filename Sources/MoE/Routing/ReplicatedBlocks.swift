public import Dist
public import KernelInterface
public import Networks
internal import Numerics

/// The blocks of a batch spread over all ranks, each of which works on those of its shard with a copy of the gate.
///
/// Sums of few numbers are gathered and taken on every rank. Gradients are summed where they are used: a rank receives
/// its share of every node of the tree that it has not, updates its share of the parameters, and hands the new values
/// to all others (a reduce-scatter and an all-gather, as in stage 1 of ZeRO, Rajbhandari et al. 2020, arXiv 1910.02054).
/// The optimiser's state is up to date on its share's rank alone until ``gatherState(of:)``.
///
/// Modules in front of a mixture layer and behind it have it as the `sums` of their `ModuleContext`, together; call
/// ``begin(_:)`` before their forward pass.
public final class ReplicatedBlocks: BlockSums {
  private let communicator: any Communicator
  private var blocks = 0..<0
  private var count = 0
  private var received = ByteBuffer()

  /// The blocks of batches that these ranks share.
  public init(_ communicator: any Communicator) { self.communicator = communicator }

  /// Every rank calls this with the same batch before its modules work on it.
  public func begin(_ batch: BatchBlocks) {
    blocks = batch.blocks(of: communicator.rank)
    count = batch.count
  }

  public func nodes(ofBlocks blocks: Int) -> [BlockNode] {
    precondition(blocks == self.blocks.count, "a rank works on the blocks of its shard")
    return BlockNode.nodes(within: self.blocks, count: count)
  }

  public func combine(_ perBlock: [[Double]], length: Int) throws -> [Double] {
    return try communicator.reduceBlocks(perBlock, count: count, length: length)
  }

  // MARK: Gradients

  public func total(_ nodes: [NodeSum], count floats: Int, into gradients: Floats) throws {
    let shares = shares(floats)
    let me = communicator.rank
    let mine = shares[me]
    let others = (0..<communicator.size).filter { $0 != me }
    let theirs = others.map { rank in
      BlockTree.nodes(
        count: count, within: Dist.blocks(of: rank, count: count, ranks: communicator.size))
    }
    let arriving = theirs.reduce(0) { $0 + $1.count }
    let buffer = received.reserve(arriving * mine.count * 4).assumingMemoryBound(to: Float.self)

    var operations: [any PendingOperation] = []
    var known: [Range<Int>: Floats] = [:]
    var next = buffer
    for (rank, nodes) in zip(others, theirs) {
      for (tag, node) in nodes.enumerated() {
        if !mine.isEmpty {
          operations.append(
            try communicator.receive(into: bytes(next, 0..<mine.count), from: rank, tag: tag))
        }
        known[node] = next
        next += mine.count
      }
    }
    for rank in others where !shares[rank].isEmpty {
      for (tag, node) in nodes.enumerated() {
        operations.append(
          try communicator.send(
            UnsafeRawBufferPointer(bytes(node.sum, shares[rank])), to: rank, tag: tag))
      }
    }
    for node in nodes { known[node.node.blocks] = node.sum + mine.lowerBound }
    for operation in operations { try operation.wait() }
    sum(0..<count, known, into: gradients + mine.lowerBound, floats: mine.count)
  }

  /// Writes the sum of a node; inner nodes use the memory of their left half.
  private func sum(_ node: Range<Int>, _ known: [Range<Int>: Floats], into result: Floats, floats: Int) {
    func place(_ node: Range<Int>) -> Floats {
      if let place = known[node] { return place }
      let middle = BlockTree.middle(node)
      let left = place(node.lowerBound..<middle)
      kernels.add(left, place(middle..<node.upperBound), into: left, count: floats)
      return left
    }
    if let whole = known[node] {
      if whole != result { result.update(from: whole, count: floats) }
      return
    }
    let middle = BlockTree.middle(node)
    kernels.add(
      place(node.lowerBound..<middle), place(middle..<node.upperBound), into: result, count: floats)
  }

  // MARK: Parameters

  /// Σ g² over all trained floats, on every rank: of every chunk where its gradients are, then ascending.
  package func squareSum(_ parameters: Parameters) throws -> Double {
    let shares = shares(parameters.trainedCount)
    let counts = shares.map { ($0.count + Parameters.chunk - 1) / Parameters.chunk }
    let mine = parameters.squareSums(shares[communicator.rank])
    return try communicator.allGather(mine, Partition(counts: counts)).reduce(0, +)
  }

  /// Updates every rank's share, then hands the new values to all. Collective.
  public func update(_ parameters: Parameters, _ point: UpdatePoint) throws {
    let shares = shares(parameters.trainedCount)
    parameters.update(point, shares[communicator.rank])
    try gather(parameters.values, of: parameters)
  }

  /// Makes the optimiser's state complete on every rank. Collective.
  public func gatherState(of parameters: Parameters) throws {
    for vector in parameters.training?.state ?? [] { try gather(vector, of: parameters) }
  }

  /// Hands every rank's share of a buffer of the trained floats to all others.
  package func gather(_ base: Floats, of parameters: Parameters) throws {
    let shares = shares(parameters.trainedCount)
    let me = communicator.rank
    var operations: [any PendingOperation] = []
    for rank in shares.indices where rank != me && !shares[rank].isEmpty {
      operations.append(try communicator.receive(into: bytes(base, shares[rank]), from: rank, tag: 0))
    }
    if !shares[me].isEmpty {
      for rank in shares.indices where rank != me {
        operations.append(
          try communicator.send(UnsafeRawBufferPointer(bytes(base, shares[me])), to: rank, tag: 0))
      }
    }
    for operation in operations { try operation.wait() }
  }

  /// Whole chunks of a buffer, as evenly as they go: a partial sum of the gradients' norm belongs to one rank.
  private func shares(_ floats: Int) -> [Range<Int>] {
    let chunk = Parameters.chunk
    return (0..<communicator.size).map { rank in
      let chunks = Dist.blocks(
        of: rank, count: (floats + chunk - 1) / chunk, ranks: communicator.size)
      return chunks.lowerBound * chunk..<min(chunks.upperBound * chunk, floats)
    }
  }

  private func bytes(_ base: Floats, _ floats: Range<Int>) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: base + floats.lowerBound, count: floats.count * 4)
  }
}
