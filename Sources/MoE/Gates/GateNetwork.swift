internal import KernelInterface
internal import Networks
internal import Numerics

/// A module of a gate, run block by block, and what it keeps between forward and backward pass.
final class GateNetwork {
  let module: any Module
  let workspace = Workspace()
  private let threads: Int
  private var pass: (any ModulePass)?
  private var outputs: [FeatureMap] = []

  init(_ spec: any ModuleSpec, prefix: String, _ context: ModuleContext) {
    module = spec.makeModule(prefix: prefix, isTapped: false, context)
    threads = context.team.threads
  }

  convenience init(_ spec: any ModuleSpec, _ request: GateRequest) {
    self.init(
      spec, prefix: request.scope + "gate",
      ModuleContext(
        isTrained: request.training, sums: request.sums, team: request.team, products: request.products))
  }

  /// Runs the module; the body gets every block's number, output and first row.
  func forward(_ blocks: [RowBlock], mode: NetworkMode, _ body: (Int, FeatureMap, Int) -> Void) throws {
    workspace.reset()
    var row = 0
    // In training the whole batch is one pass; in evaluation as many blocks as are worked on at a time.
    // A rank without a block takes part in the sums over blocks all the same.
    let waves = mode == .training ? [0] : Array(stride(from: 0, to: blocks.count, by: threads))
    for first in waves {
      let end = mode == .training ? blocks.count : min(first + threads, blocks.count)
      let wave = Array(blocks[first..<end])
      let pieces = wave.map { _ in workspace.piece() }
      outputs = zip(wave, pieces).map { $1.map(features: module.outputs, rows: $0.rows) }
      pass = try module.forward(wave, into: outputs, taps: nil, mode: mode, in: pieces)
      for (index, output) in outputs.enumerated() {
        body(first + index, output, row)
        row += output.rows
      }
      if mode == .evaluation { workspace.reset() }
    }
  }

  /// The gradients of the parameters; the body gives the gradient of every block's output, zero behind the last row.
  ///
  /// - Parameter rows: where the gradients of the rows go; nil: they are not wanted.
  func backward(rows: FeatureMap?, _ body: (Int, FeatureMap, Int) -> FeatureMap) throws {
    guard let pass else { return }
    var row = 0
    let gradients = outputs.enumerated().map { index, output in
      defer { row += output.rows }
      return body(index, output, row)
    }
    let inputs = rows.map { workspace.maps(features: $0.features, rows: outputs.map(\.rows)) }
    try module.backward(pass, gradients: gradients, taps: nil, inputs: inputs)
    self.pass = nil
    if let inputs { rows?.join(inputs) }
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
