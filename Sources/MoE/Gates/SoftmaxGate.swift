public import KernelInterface
public import Networks

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

/// A module whose outputs are the message: with ``MessageScorer`` the gate p = softmax(g/T) of a network of any kind, with a
/// scorer of one's own whatever that makes of its outputs.
public final class SoftmaxGate: ModuleGate {
  private let gate: GateNetwork

  public var module: any Module { gate.module }

  /// - Parameters:
  ///   - spec: gives as many values per row as the scorer's ``Scorer/messageFeatures``: one per expert for ``MessageScorer``.
  ///   - prefix: what the names of its tensors begin with.
  ///   - context: what a ``MixtureLayer`` gives to whoever makes its gate.
  public init(_ spec: any ModuleSpec, prefix: String = "gate", _ context: ModuleContext) {
    gate = GateNetwork(spec, prefix: prefix, context)
  }

  init(_ request: GateRequest) {
    gate = GateNetwork(request.network, request)
  }

  public func forward(_ blocks: [RowBlock], mode: NetworkMode, into message: FeatureMap) throws {
    try gate.forward(blocks, mode: mode) { _, output, first in
      copyColumns(of: output, into: message, first: first)
    }
  }

  public func backward(_ gradient: FeatureMap, rows: FeatureMap?) throws {
    try gate.backward(rows: rows) { _, output, first in
      gate.block(of: gradient, first: first, rows: output.rows)
    }
  }
}

/// The message is the scores.
public struct MessageScorer: Scorer {
  public let messageFeatures: Int
  public var scoresAreMessage: Bool { true }

  /// - Parameter messageFeatures: experts.
  public init(messageFeatures: Int) { self.messageFeatures = messageFeatures }

  public func score(_ rows: ShardRows, into scores: FeatureMap) {
    for expert in 0..<scores.features {
      scores[expert].update(from: rows.message[expert], count: scores.columns)
    }
  }

  public func backward(_ rows: ShardRows, _ gradients: ScoreGradients, into result: ScorerGradients) {
    for expert in 0..<messageFeatures {
      result.message[expert].update(from: gradients.gate[expert], count: result.message.columns)
    }
  }
}
