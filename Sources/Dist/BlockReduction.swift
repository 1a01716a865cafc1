/// The blocks of a rank when work is cut into blocks: [rK/N, (r+1)K/N).
public func blocks(of rank: Int, count: Int, ranks: Int) -> Range<Int> {
  rank * count / ranks..<(rank + 1) * count / ranks
}

/// The fixed binary tree along which sums over the blocks of a batch are taken.
///
/// node(lo, hi) is the block's own vector when it holds one block, else node(lo, mid) + node(mid, hi) with mid = lo + the
/// largest power of two below hi − lo. The order of additions follows from the number of blocks alone.
public enum BlockTree {
  /// Where the tree splits a node of more than one block.
  public static func middle(_ node: Range<Int>) -> Int {
    var half = 1
    while half * 2 < node.count { half *= 2 }
    return node.lowerBound + half
  }

  /// The largest nodes of the tree over `count` blocks that lie wholly within a range, ascending.
  public static func nodes(count: Int, within range: Range<Int>) -> [Range<Int>] {
    func nodes(_ node: Range<Int>) -> [Range<Int>] {
      if node.isEmpty || range.isEmpty || !node.overlaps(range) { return [] }
      if range.lowerBound <= node.lowerBound && node.upperBound <= range.upperBound { return [node] }
      let middle = middle(node)
      return nodes(node.lowerBound..<middle) + nodes(middle..<node.upperBound)
    }
    return nodes(0..<count)
  }

  /// How a node is summed with a stack: per block, how often the two topmost sums are replaced by theirs, the lower one
  /// being the left summand, once the block's vector is on it.
  public static func additions(_ node: Range<Int>) -> [Int] {
    guard node.count > 1 else { return node.map { _ in 0 } }
    let middle = middle(node)
    var list = additions(node.lowerBound..<middle) + additions(middle..<node.upperBound)
    list[list.count - 1] += 1
    return list
  }

  /// The sum of vectors, one per block, all of the same length; empty where there is none.
  public static func sum(_ vectors: [[Double]]) -> [Double] {
    vectors.isEmpty ? [] : Dist.sum(0..<vectors.count) { vectors[$0.lowerBound] }
  }
}

extension Communicator {
  /// Sums one vector per block along the ``BlockTree``; the result is the same bits for any number of ranks, on every
  /// rank. Collective. A rank sums what lies wholly within its blocks; only those nodes travel.
  ///
  /// - Parameters:
  ///   - vectors: one per block of this rank (see ``blocks(of:count:ranks:)``), all of `length`.
  ///   - count: blocks of all ranks.
  public func reduceBlocks(_ vectors: [[Double]], count: Int, length: Int) throws(CommunicationError)
    -> [Double]
  {
    let mine = blocks(of: rank, count: count, ranks: size)
    precondition(vectors.count == mine.count, "a rank gives one vector per block of its own")
    let sums = BlockTree.nodes(count: count, within: mine).flatMap { node in
      sum(node) { vectors[$0.lowerBound - mine.lowerBound] }
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
    return sum(0..<count, known: known) { _ in preconditionFailure("every block belongs to a rank") }
  }
}

private func sum(
  _ node: Range<Int>, known: [Range<Int>: [Double]] = [:], leaf: (Range<Int>) -> [Double]
) -> [Double] {
  if let vector = known[node] { return vector }
  if node.count == 1 { return leaf(node) }
  let middle = BlockTree.middle(node)
  let left = sum(node.lowerBound..<middle, known: known, leaf: leaf)
  let right = sum(middle..<node.upperBound, known: known, leaf: leaf)
  return zip(left, right).map { $0 + $1 }
}
