/// The gate of the original mixture of experts: a network with one output per expert, p = softmax(g/T).
final class SoftmaxGate: Gate {
  private let gate: Network
  private let workspace: Workspace
  private let tree: TreeSum?
  private var passes: [Network.Pass] = []

  var network: Network? { gate }

  init(_ request: GateRequest) {
    let spec = request.family.gate(input: request.input, experts: request.experts)
    gate = Network(spec, prefix: "gate", training: request.training)
    let blocks = request.training ? (request.batchRows + request.blockRows - 1) / request.blockRows : 1
    let gradient = Workspace.bytes(
      floats: FeatureMap.count(features: request.experts, rows: request.blockRows))
    workspace = Workspace(capacity: blocks * (spec.workspaceBytes(rows: request.blockRows) + gradient))
    tree = blocks > 1 ? TreeSum(count: gate.parameters.trainedCount) : nil
  }

  func forward(_ blocks: [Tiles], mode: NetworkMode, into logits: FeatureMap) {
    workspace.reset()
    var row = 0
    func copy(_ output: FeatureMap) {
      for expert in 0..<output.features {
        (logits[expert] + row).update(from: output[expert], count: output.rows)
      }
      row += output.rows
    }
    switch mode {
    case .training:
      passes = gate.forward(blocks, mode: .training, in: workspace)
      for pass in passes { copy(pass.output) }
    case .evaluation:
      gate.prepareEvaluation()
      for block in blocks {
        copy(gate.forwardBlock(block, in: workspace).output)
        workspace.reset()
      }
    }
  }

  func backward(_ gradient: FeatureMap) {
    var row = 0
    let gradients = passes.map { pass in
      let block = workspace.map(features: gradient.features, rows: pass.output.rows)
      for expert in 0..<gradient.features {
        block[expert].update(from: gradient[expert] + row, count: block.rows)
      }
      block.clearPadding()
      row += block.rows
      return block
    }
    gate.backward(passes, gradients: gradients, in: workspace, tree: tree)
    passes = []
  }
}
