/// Sums vectors that arrive block by block along a fixed binary tree over the block numbers.
///
/// node(lo, hi) is the block's own vector when it holds one block, and otherwise node(lo, mid) + node(mid, hi) with
/// mid = lo + the largest power of two below hi − lo. The order of additions follows from the number of blocks alone.
package final class TreeSum {
  private let count: Int
  private var free: [Floats] = []
  private var buffers: [Floats] = []
  private var nodes: [(buffer: Floats, blocks: Int)] = []

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

  /// Takes the buffer of ``nextBlock()`` as the next block's vector.
  package func push(_ buffer: Floats) {
    nodes.append((buffer, 1))
    while nodes.count >= 2, nodes[nodes.count - 1].blocks == nodes[nodes.count - 2].blocks { merge() }
  }

  /// The sum of all blocks pushed since the last call, valid until the next ``nextBlock()``; nil without a block.
  package func finish() -> Floats? {
    while nodes.count >= 2 { merge() }
    guard let last = nodes.popLast() else { return nil }
    free.append(last.buffer)
    return last.buffer
  }

  private func merge() {
    let right = nodes.removeLast()
    let left = nodes.removeLast()
    add(right.buffer, to: left.buffer, count: count)
    free.append(right.buffer)
    nodes.append((left.buffer, left.blocks + right.blocks))
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
