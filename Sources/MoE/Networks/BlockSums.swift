/// How what the blocks of a batch add up to is summed over the whole batch, wherever its blocks are worked on.
///
/// Every sum goes along the tree of ``TreeSum``, so that its bits follow from the number of blocks alone.
package protocol BlockSums: AnyObject {
  /// Where the blocks of this place stand in the batch.
  ///
  /// - Parameter blocks: how many are worked on here.
  func place(ofBlocks blocks: Int) -> (first: Int, count: Int)

  /// The sum of vectors of `length` that this place's blocks counted, over the whole batch, the same everywhere.
  func combine(_ perBlock: [[Double]], length: Int) throws -> [Double]

  /// Writes the sum of gradients over the whole batch, of the parameters that this place updates.
  ///
  /// - Parameters:
  ///   - nodes: the sums of this place's blocks; one of them may lie in `gradients` itself.
  ///   - count: floats of a vector.
  func total(_ nodes: [TreeSum.Node], count: Int, into gradients: Floats) throws
}

/// All blocks in one place.
package final class WholeBatch: BlockSums {
  package init() {}

  package func place(ofBlocks blocks: Int) -> (first: Int, count: Int) { (0, blocks) }

  package func combine(_ perBlock: [[Double]], length: Int) -> [Double] {
    perBlock.isEmpty ? Array(repeating: 0, count: length) : treeSum(perBlock)
  }

  package func total(_ nodes: [TreeSum.Node], count: Int, into gradients: Floats) {
    guard let node = nodes.first else {
      gradients.update(repeating: 0, count: count)
      return
    }
    if node.sum != gradients { gradients.update(from: node.sum, count: count) }
  }
}

/// The gradients of one network's parameters, block by block, on their way to the sum over the batch.
final class BlockGradients {
  private let gradients: Floats
  private let count: Int
  private let tree: TreeSum?
  private let sums: any BlockSums
  private var pushed: [Floats] = []
  private var isFirst = true

  /// - Parameter blocks: the most that are worked on here; a single one writes its gradients where the sum will be.
  init(_ parameters: Parameters, blocks: Int, sums: any BlockSums) {
    guard let training = parameters.training else {
      preconditionFailure("only parameters in training have gradients")
    }
    gradients = training.gradients
    count = parameters.trainedCount
    tree = blocks > 1 ? TreeSum(count: parameters.trainedCount) : nil
    self.sums = sums
  }

  /// Where the next block's gradients go: those of the first to the place of the sum, which saves a copy of it.
  func next() -> Floats {
    defer { isFirst = false }
    return isFirst ? gradients : tree?.nextBlock() ?? gradients
  }

  /// Takes a block's gradients; blocks come in ascending order.
  ///
  /// - Parameters:
  ///   - block: its number among the blocks of this place.
  ///   - blocks: how many there are.
  func push(_ target: Floats, block: Int, of blocks: Int) {
    let first = sums.place(ofBlocks: blocks).first
    if let tree {
      tree.push(target, block: first + block)
    } else {
      pushed.append(target)
    }
  }

  /// Sums over the batch.
  ///
  /// - Parameter blocks: how many were pushed.
  func finish(blocks: Int) throws {
    let (first, count) = sums.place(ofBlocks: blocks)
    precondition(tree != nil || pushed.count <= 1, "several blocks are summed along a tree")
    let nodes =
      tree?.finish(count: count)
      ?? pushed.map { TreeSum.Node(blocks: first..<first + 1, sum: $0) }
    pushed = []
    isFirst = true
    try sums.total(nodes, count: self.count, into: gradients)
  }
}
