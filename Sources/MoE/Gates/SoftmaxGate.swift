internal import KernelInterface
internal import Networks

/// The gate of the original mixture of experts: a network with one output per expert, p = softmax(g/T).
struct SoftmaxGateDesign: GateDesign {
  func size(_ request: GateRequest) -> GateSize {
    let spec = request.network
    return GateSize(
      tensors: spec.tensors(prefix: request.scope + "gate"), forwardFlops: spec.forwardFlops,
      backwardFlops: request.backwardFlops(spec))
  }

  func makeGate(_ request: GateRequest) -> (any Gate)? { SoftmaxGate(request) }

  func makeScorer(_ request: GateRequest, training: Bool) -> any Scorer {
    MessageScorer(messageFeatures: request.experts)
  }
}

/// The network; its outputs are the message.
final class SoftmaxGate: Gate {
  private let gate: GateNetwork

  var parameters: [Parameters] { gate.module.parameters }
  var work: ModuleWork {
    get { gate.module.work }
    set { gate.module.work = newValue }
  }

  init(_ request: GateRequest) {
    gate = GateNetwork(request.network, request)
  }

  func forward(_ blocks: [RowBlock], mode: NetworkMode, into message: FeatureMap) throws {
    try gate.forward(blocks, mode: mode) { _, output, first in
      copyColumns(of: output, into: message, first: first)
    }
  }

  func backward(_ gradient: FeatureMap, rows: FeatureMap?) throws {
    try gate.backward(rows: rows) { _, output, first in
      gate.block(of: gradient, first: first, rows: output.rows)
    }
  }
}

/// The message is the scores.
struct MessageScorer: Scorer {
  let messageFeatures: Int
  var scoresAreMessage: Bool { true }

  func score(_ rows: ShardRows, into scores: FeatureMap) {
    for expert in 0..<scores.features {
      scores[expert].update(from: rows.message[expert], count: scores.columns)
    }
  }

  func backward(_ rows: ShardRows, _ gradients: ScoreGradients, into result: ScorerGradients) {
    for expert in 0..<messageFeatures {
      result.message[expert].update(from: gradients.gate[expert], count: result.message.columns)
    }
  }
}
