public import KernelInterface
internal import Numerics

/// A node of the tree along which the blocks of a batch are summed, whose blocks are all worked on in one place.
///
/// The tree is `BlockTree` of `Numerics`: it follows from the number of blocks alone, and so do the bits of its sums.
public struct BlockNode: Equatable {
  /// The node's blocks, numbered in the batch.
  public let blocks: Range<Int>
  /// The node's blocks, numbered among those of the place.
  public let here: Range<Int>
  /// Per block, how often the two topmost sums on a stack are replaced by theirs once its own is on it.
  public let additions: [Int]

  /// A node as ``nodes(within:count:)`` finds it.
  public init(blocks: Range<Int>, here: Range<Int>, additions: [Int]) {
    self.blocks = blocks
    self.here = here
    self.additions = additions
  }
}

/// The sum of gradients over a node.
public struct NodeSum {
  /// Whose sum it is.
  public let node: BlockNode
  /// The floats of the sum.
  public let sum: Floats

  /// Sums vectors along the tree into that of the node's first block.
  ///
  /// - Parameters:
  ///   - vectors: one per block of this place; used up.
  ///   - count: floats of a vector.
  public func add(_ vectors: [Floats], count: Int) {
    var stack: [Floats] = []
    for (block, additions) in zip(node.here, node.additions) {
      stack.append(vectors[block])
      for _ in 0..<additions {
        let right = stack.removeLast()
        kernels.add(right, to: stack[stack.count - 1], count: count)
      }
    }
  }
}

/// How what the blocks of a batch add up to is summed over the whole batch, wherever its blocks are worked on.
public protocol BlockSums: AnyObject {
  /// The nodes that the blocks of this place make up, as few as the tree allows, ascending.
  ///
  /// - Parameter blocks: how many are worked on here.
  func nodes(ofBlocks blocks: Int) -> [BlockNode]

  /// The sum of vectors of `length` that this place's blocks counted, over the whole batch, the same everywhere.
  ///
  /// - Throws: what the transport between places throws.
  func combine(_ perBlock: [[Double]], length: Int) throws -> [Double]

  /// Writes the sum of gradients over the whole batch, of the parameters that this place updates.
  ///
  /// - Parameters:
  ///   - nodes: the sums of this place's nodes; the first may lie in `gradients` itself.
  ///   - count: floats of a vector.
  ///   - gradients: where the sum goes.
  /// - Throws: what the transport between places throws.
  func total(_ nodes: [NodeSum], count: Int, into gradients: Floats) throws
}
