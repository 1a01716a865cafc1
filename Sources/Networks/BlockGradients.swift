public import KernelInterface

/// The gradients of one network's parameters on their way from the blocks worked on here to the sum over the batch.
///
/// The blocks of this place make up a few nodes of the tree; each has a buffer for its sum. A product of many rows and
/// columns is summed over a node's blocks where it is made (`DenseProducts.weightGradient` of `Numerics`);
/// other gradients are written block by block and added up.
public final class BlockGradients {
  /// Whose memory the first node's sum is.
  private let parameters: Parameters
  private let gradients: Floats
  private let blockFloats: Int
  private let sums: any BlockSums
  /// Sums of nodes but the first, which is summed where the batch's gradients will be.
  private let nodeBuffers: FloatBuffers
  /// Of blocks but the first of a node.
  private let blockBuffers: FloatBuffers

  /// - Parameters:
  ///   - parameters: in training; the sum over the batch goes to their gradients.
  ///   - blockFloats: how many of the parameters, from the first, have gradients that are written block by block.
  ///   - sums: over the batch.
  public init(_ parameters: Parameters, blockFloats: Int = 0, sums: any BlockSums) {
    guard let training = parameters.training else {
      preconditionFailure("only parameters in training have gradients")
    }
    self.parameters = parameters
    gradients = training.gradients
    self.blockFloats = blockFloats
    self.sums = sums
    nodeBuffers = FloatBuffers(count: parameters.trainedCount)
    blockBuffers = FloatBuffers(count: blockFloats)
  }

  /// The nodes that so many blocks of this place make up, ascending, each with memory for its sum.
  public func nodes(blocks: Int) -> [NodeSum] {
    sums.nodes(ofBlocks: blocks).enumerated().map { index, node in
      NodeSum(node: node, sum: index == 0 ? gradients : nodeBuffers[index - 1])
    }
  }

  /// Per block of this place, where the gradients that are written block by block go: those of a node's first block to
  /// the place of the sum.
  public func blockTargets(_ nodes: [NodeSum]) -> [Floats] {
    nodes.flatMap { sum in
      sum.node.here.map { $0 == sum.node.here.lowerBound ? sum.sum : blockBuffers[$0] }
    }
  }

  /// Adds up what ``blockTargets(_:)`` were given.
  public func addBlocks(_ nodes: [NodeSum], _ targets: [Floats]) {
    for node in nodes { node.add(targets, count: blockFloats) }
  }

  /// Sums over the batch, and writes the gradients of the parameters that this place updates. Collective where the sums are.
  ///
  /// - Throws: what ``BlockSums/total(_:count:into:)`` throws.
  public func finish(_ nodes: [NodeSum]) throws {
    try sums.total(nodes, count: parameters.trainedCount, into: gradients)
  }
}

/// Buffers of one size, made when they are first asked for.
private final class FloatBuffers {
  private let count: Int
  private var buffers: [Floats] = []

  init(count: Int) { self.count = count }

  deinit { for buffer in buffers { buffer.deallocate() } }

  /// Zero when it is made.
  subscript(index: Int) -> Floats {
    while buffers.count <= index {
      let raw = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1) * 4, alignment: 64)
      buffers.append(raw.initializeMemory(as: Float.self, repeating: 0, count: max(count, 1)))
    }
    return buffers[index]
  }
}
