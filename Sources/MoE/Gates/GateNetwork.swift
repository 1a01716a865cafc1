internal import Dist
internal import KernelInterface
internal import Networks
internal import Numerics

/// A network of a gate, run block by block, and what it keeps between forward and backward pass.
final class GateNetwork {
  let network: Network
  let workspace = Workspace()
  private let threads: Int
  private var passes: [Network.Pass] = []

  init(_ spec: NetworkSpec, _ request: GateRequest) {
    network = Network(
      spec, prefix: "gate", training: request.training, sums: request.sums, team: request.team,
      products: request.products)
    threads = request.team.threads
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
        let pieces = wave.map { _ in workspace.piece() }
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
