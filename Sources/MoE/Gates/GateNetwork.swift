internal import Dist
internal import KernelInterface
internal import Networks
internal import Numerics

/// A network of a gate, run block by block, and what it keeps between forward and backward pass.
final class GateNetwork {
  let network: Network
  let workspace: Workspace
  private let threads: Int
  private let products: DenseProducts
  private var passes: [Network.Pass] = []

  /// - Parameters:
  ///   - further: values per row that the gate keeps in the workspace beside the network's, one map each.
  ///   - scratch: bytes that the gate's own products take while one of them runs.
  init(_ spec: NetworkSpec, _ request: GateRequest, further: [Int], scratch: Int = 0) {
    let blocks = GateNetwork.blocks(request)
    network = Network(
      spec, prefix: "gate", training: request.training, sums: request.sums, team: request.team,
      products: request.products)
    threads = request.team.threads
    products = request.products
    let maps = ([spec.outputs] + further).reduce(0) {
      $0 + Workspace.bytes(floats: FeatureMap.count(features: $1, rows: request.blockRows))
    }
    workspace = Workspace(
      capacity: blocks
        * (spec.workspaceBytes(
          rows: request.blockRows, blocks: blocks, products: request.products) + maps) + scratch)
  }

  /// Blocks that are kept at a time: all in training, because the backward pass needs them, otherwise those that are
  /// worked on.
  static func blocks(_ request: GateRequest) -> Int {
    max(request.training ? request.batchBlocks : 1, request.team.threads)
  }

  /// Runs the network; the body gets every block's number, output and first row.
  func forward(_ blocks: [Tiles], mode: NetworkMode, _ body: (Int, FeatureMap, Int) -> Void) throws {
    workspace.reset()
    var row = 0
    switch mode {
    case .training:
      passes = try network.forward(blocks, mode: .training, in: workspace)
      for (index, pass) in passes.enumerated() {
        body(index, pass.output, row)
        row += pass.output.rows
      }
    case .evaluation:
      try network.prepareEvaluation()
      for first in stride(from: 0, to: blocks.count, by: threads) {
        let wave = Array(blocks[first..<min(first + threads, blocks.count)])
        let pieces = wave.map {
          workspace.piece(network.spec.workspaceBytes(rows: $0.rows, products: products))
        }
        for (index, pass) in try network.forwardBlocks(wave, in: pieces).enumerated() {
          body(first + index, pass.output, row)
          row += pass.output.rows
        }
        workspace.reset()
      }
    }
  }

  /// The gradients of the parameters; the body gives the gradient of every block's output, zero behind the last row.
  func backward(_ body: (Int, FeatureMap, Int) -> FeatureMap) throws {
    var row = 0
    let gradients = passes.enumerated().map { index, pass in
      defer { row += pass.output.rows }
      return body(index, pass.output, row)
    }
    try network.backward(passes, gradients: gradients)
    passes = []
  }

  /// The columns of some rows as a map of their own, zero behind the last.
  func block(of map: FeatureMap, first: Int, rows: Int) -> FeatureMap {
    let block = workspace.map(features: map.features, rows: rows)
    for feature in 0..<map.features { block[feature].update(from: map[feature] + first, count: rows) }
    block.clearPadding()
    return block
  }
}

/// Copies a block's columns into the map of the whole batch.
func copyColumns(of block: FeatureMap, into map: FeatureMap, first: Int) {
  for feature in 0..<block.features {
    (map[feature] + first).update(from: block[feature], count: block.rows)
  }
}
