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
    vectors.isEmpty ? [] : sum(0..<vectors.count) { vectors[$0.lowerBound] }
  }

  /// The sum over a node's blocks.
  ///
  /// - Parameters:
  ///   - known: sums of nodes that were taken elsewhere.
  ///   - leaf: the vector of a node of one block.
  package static func sum(
    _ node: Range<Int>, known: [Range<Int>: [Double]] = [:], leaf: (Range<Int>) -> [Double]
  ) -> [Double] {
    if let vector = known[node] { return vector }
    if node.count == 1 { return leaf(node) }
    let middle = middle(node)
    let left = sum(node.lowerBound..<middle, known: known, leaf: leaf)
    let right = sum(middle..<node.upperBound, known: known, leaf: leaf)
    return zip(left, right).map { $0 + $1 }
  }
}
