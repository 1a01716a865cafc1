public import KernelInterface
internal import Numerics

extension BlockNode {
  /// The largest nodes of the tree over `count` blocks that lie wholly within those of a place.
  public static func nodes(within place: Range<Int>, count: Int) -> [BlockNode] {
    BlockTree.nodes(count: count, within: place).map {
      BlockNode(
        blocks: $0, here: $0.lowerBound - place.lowerBound..<$0.upperBound - place.lowerBound,
        additions: BlockTree.additions($0))
    }
  }
}

/// All blocks of a batch in one place.
public final class WholeBatch: BlockSums {
  /// Sums that need nobody else.
  public init() {}

  public func nodes(ofBlocks blocks: Int) -> [BlockNode] {
    BlockNode.nodes(within: 0..<blocks, count: blocks)
  }

  public func combine(_ perBlock: [[Double]], length: Int) -> [Double] {
    perBlock.isEmpty ? Array(repeating: 0, count: length) : BlockTree.sum(perBlock)
  }

  public func total(_ nodes: [NodeSum], count: Int, into gradients: Floats) {
    guard let whole = nodes.first else {
      gradients.update(repeating: 0, count: count)
      return
    }
    if whole.sum != gradients { gradients.update(from: whole.sum, count: count) }
  }
}
