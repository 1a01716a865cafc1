public import Dist
internal import Numerics

extension Communicator {
  /// Sums one vector per block along the tree of blocks (`BlockTree` of `Numerics`); the result is the same bits for any
  /// number of ranks, on every rank. Collective. A rank sums what lies wholly within its blocks; only those nodes travel.
  ///
  /// - Parameters:
  ///   - vectors: one per block of this rank (see `blocks(of:count:ranks:)` of `Dist`), all of `length`.
  ///   - count: blocks of all ranks.
  ///   - length: numbers of a vector.
  public func reduceBlocks(_ vectors: [[Double]], count: Int, length: Int) throws(CommunicationError)
    -> [Double]
  {
    let mine = blocks(of: rank, count: count, ranks: size)
    precondition(vectors.count == mine.count, "a rank gives one vector per block of its own")
    let sums = BlockTree.nodes(count: count, within: mine).flatMap { node in
      BlockTree.sum(node) { vectors[$0.lowerBound - mine.lowerBound] }
    }
    let perRank = (0..<size).map {
      BlockTree.nodes(count: count, within: blocks(of: $0, count: count, ranks: size))
    }
    let travelled = try allGather(sums, Partition(counts: perRank.map { $0.count * length }))
    var known: [Range<Int>: [Double]] = [:]
    for (index, node) in perRank.flatMap({ $0 }).enumerated() {
      known[node] = Array(travelled[index * length..<(index + 1) * length])
    }
    guard count > 0 else { return Array(repeating: 0, count: length) }
    return BlockTree.sum(0..<count, known: known) { _ in preconditionFailure("every block belongs to a rank")
    }
  }
}
