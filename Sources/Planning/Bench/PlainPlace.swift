internal import Dist
internal import KernelInterface
internal import MoE
internal import Networks
internal import Numerics

/// Copies of a gate whose gradients are summed as others do it: every rank's own sum, and the transport's all-reduce. What
/// the tree of blocks is measured against; its bits depend on the number of ranks.
final class PlainPlace: GatePlace, BlockSums {
  private let communicator: any Communicator
  private let lawful: ReplicatedPlace
  private var here = 0..<0

  init(_ communicator: any Communicator) {
    self.communicator = communicator
    lawful = ReplicatedPlace(communicator)
  }

  var isHere: Bool { true }
  var isReplicated: Bool { true }
  var sums: any BlockSums { self }

  func blocks(of batch: BatchBlocks) -> Range<Int> { lawful.blocks(of: batch) }

  func begin(_ batch: BatchBlocks, message: FeatureMap, in workspace: Workspace) -> FeatureMap? {
    here = blocks(of: batch)
    return lawful.begin(batch, message: message, in: workspace)
  }

  func deliver(
    _ written: FeatureMap?, into message: FeatureMap, _ batch: BatchBlocks, word: Float,
    in workspace: Workspace
  ) throws -> Float {
    try lawful.deliver(written, into: message, batch, word: word, in: workspace)
  }

  func parcel(gradient: Int, riders: Int, rows: Int, in workspace: Workspace) -> LayerParcel {
    lawful.parcel(gradient: gradient, riders: riders, rows: rows, in: workspace)
  }

  func collect(_ parcel: LayerParcel, _ batch: BatchBlocks, word: Float, in workspace: Workspace) throws
    -> CollectedParcels
  {
    try lawful.collect(parcel, batch, word: word, in: workspace)
  }

  func squareSum(_ parameters: Parameters) -> Double { parameters.squareSum() }
  func update(_ parameters: Parameters, _ point: UpdatePoint) { parameters.update(point) }
  func complete(_ parameters: Parameters) {}
  func completeGradients(_ parameters: Parameters) {}

  // MARK: Sums

  func nodes(ofBlocks blocks: Int) -> [BlockNode] {
    let additions = (0..<blocks).map { $0 == 0 ? 0 : 1 }
    return blocks == 0 ? [] : [BlockNode(blocks: here, here: 0..<blocks, additions: additions)]
  }

  func combine(_ perBlock: [[Double]], length: Int) throws -> [Double] {
    var sum = [Double](repeating: 0, count: length)
    for vector in perBlock { for index in sum.indices { sum[index] += vector[index] } }
    let all = try communicator.allGather(sum)
    return sum.indices.map { index in
      (0..<communicator.size).reduce(0) { $0 + all[$1 * length + index] }
    }
  }

  func total(_ nodes: [NodeSum], count floats: Int, into gradients: Floats) throws {
    if let own = nodes.first, own.sum != gradients { gradients.update(from: own.sum, count: floats) }
    if nodes.isEmpty { gradients.update(repeating: 0, count: floats) }
    try communicator.allReduceSum(UnsafeMutableBufferPointer(start: gradients, count: floats))
  }
}
