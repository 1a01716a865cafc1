/// Sums vectors that arrive block by block along a fixed binary tree over the block numbers.
///
/// node(lo, hi) is the block's own vector when it holds one block, and otherwise node(lo, mid) + node(mid, hi) with
/// mid = lo + the largest power of two below hi − lo. The order of additions follows from the number of blocks alone,
/// also where this place sees only a run of them: it sums the nodes that lie wholly within its run.
package final class TreeSum {
  /// The sum of a run of blocks that is a node of the tree.
  package struct Node {
    package let blocks: Range<Int>
    package let sum: Floats

    package init(blocks: Range<Int>, sum: Floats) {
      self.blocks = blocks
      self.sum = sum
    }
  }

  private let count: Int
  private var free: [Floats] = []
  private var buffers: [Floats] = []
  private var nodes: [Node] = []

  /// - Parameter count: floats per vector.
  package init(count: Int) { self.count = count }

  deinit { for buffer in buffers { buffer.deallocate() } }

  /// A buffer for the next block's vector; zero when it is handed out for the first time.
  package func nextBlock() -> Floats {
    if let buffer = free.popLast() { return buffer }
    let raw = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1) * 4, alignment: 64)
    let buffer = raw.initializeMemory(as: Float.self, repeating: 0, count: count)
    buffers.append(buffer)
    return buffer
  }

  /// Takes a buffer as the vector of a block; blocks come in ascending order. It is that of ``nextBlock()`` or, for the
  /// first block, one of the caller's, which becomes the sum of the first node.
  package func push(_ buffer: Floats, block: Int) {
    nodes.append(Node(blocks: block..<block + 1, sum: buffer))
    while nodes.count >= 2, areSiblings(nodes[nodes.count - 2], nodes[nodes.count - 1], count: nil) {
      merge()
    }
  }

  /// The sums of all blocks pushed since the last call, as few nodes as the tree allows, ascending; valid until the next
  /// ``nextBlock()``.
  ///
  /// - Parameter count: blocks of the whole batch.
  package func finish(count: Int) -> [Node] {
    while nodes.count >= 2, areSiblings(nodes[nodes.count - 2], nodes[nodes.count - 1], count: count) {
      merge()
    }
    defer { nodes = [] }
    free += nodes.map(\.sum).filter(buffers.contains)
    return nodes
  }

  /// Whether two nodes are the halves of one: equally long, or the right one shorter at the end of the batch, behind a
  /// left one that begins at a multiple of twice its length.
  private func areSiblings(_ left: Node, _ right: Node, count: Int?) -> Bool {
    let length = left.blocks.count
    guard left.blocks.upperBound == right.blocks.lowerBound, left.blocks.lowerBound % (2 * length) == 0 else {
      return false
    }
    return right.blocks.count == length
      || (right.blocks.upperBound == count && right.blocks.count < length)
  }

  private func merge() {
    let right = nodes.removeLast()
    let left = nodes.removeLast()
    add(right.sum, to: left.sum, count: count)
    free.append(right.sum)
    nodes.append(Node(blocks: left.blocks.lowerBound..<right.blocks.upperBound, sum: left.sum))
  }
}

/// The same tree over vectors in double precision: their sum, in the order that follows from their number alone.
package func treeSum(_ vectors: [[Double]]) -> [Double] {
  func node(_ low: Int, _ high: Int) -> [Double] {
    if high - low == 1 { return vectors[low] }
    var half = 1
    while half * 2 < high - low { half *= 2 }
    let left = node(low, low + half)
    let right = node(low + half, high)
    return zip(left, right).map { $0 + $1 }
  }
  return vectors.isEmpty ? [] : node(0, vectors.count)
}
