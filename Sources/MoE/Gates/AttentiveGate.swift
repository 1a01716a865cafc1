package import KernelInterface
package import Networks
internal import Numerics

/// The attentive gate (arXiv 2302.14703, section 4): p = softmax_e(Q·K_e / (√H·T)) with Q = W_q h_g and K_e = W_k h_e, where
/// h_g and h_e are the last hidden layers of gate and expert before ReLU, and W_k is shared by all experts.
///
/// Since Q·(W_k h_e) = (W_kᵀ Q)·h_e, the gate sends q̃ = W_kᵀ Q, H values per row, and a shard takes one dot per expert:
/// the same function with E times fewer key products. Scores depend on the answers of every expert, so all must run.
package struct AttentiveGateDesign: GateDesign {
  package init() {}

  package var needsEveryExpert: Bool { true }

  package func size(_ request: GateRequest) -> GateSize {
    let trunk = request.trunk
    let product = 2 * trunk.outputs * trunk.outputs
    return GateSize(
      tensors: trunk.tensors(prefix: request.scope + "gate")
        + AttentiveGate.attention(width: trunk.outputs, scope: request.scope),
      forwardFlops: trunk.forwardFlops + 2 * product,
      backwardFlops: request.backwardFlops(trunk) + 4 * product)
  }

  package func makeGate(_ request: GateRequest) -> (any Gate)? { AttentiveGate(request) }

  package func makeScorer(_ request: GateRequest, training: Bool) -> any Scorer {
    AttentionScorer(width: request.family.hiddenWidths.gate)
  }

  package func objection(to family: any NetworkFamily) -> String? {
    let (expert, gate) = family.hiddenWidths
    guard expert != gate else { return nil }
    return
      "the attentive gate compares last hidden layers of equal width, but those of model '\(family.name)' have "
      + "\(gate) (gate) and \(expert) (experts)"
  }
}

/// Trunk, W_q and W_k; q̃ is the message.
package final class AttentiveGate: Gate {
  private let trunk: GateNetwork
  private let attention: Parameters
  private let query: Int
  private let key: Int
  private let width: Int
  private let products: DenseProducts
  private let gradients: BlockGradients?
  /// Q of every block of the batch in training.
  private var queries: [FeatureMap] = []
  private var attentionWork = ModuleWork()

  package var parameters: [Parameters] { trunk.module.parameters + [attention] }
  package var work: ModuleWork {
    get {
      var sum = trunk.module.work
      sum.forwardFlops += attentionWork.forwardFlops
      sum.backwardFlops += attentionWork.backwardFlops
      return sum
    }
    set {
      trunk.module.work = newValue
      attentionWork = ModuleWork()
    }
  }

  static func attention(width: Int, scope: String) -> [TensorSpec] {
    ["query", "key"].map {
      TensorSpec(name: "\(scope)attention.\($0).weight", shape: [width, width], role: .weight(fanIn: width))
    }
  }

  init(_ request: GateRequest) {
    let spec = request.trunk
    width = spec.outputs
    products = request.products
    trunk = GateNetwork(spec, request)
    attention = Parameters(
      AttentiveGate.attention(width: width, scope: request.scope), training: request.training)
    query = attention.offset(of: request.scope + "attention.query.weight")
    key = attention.offset(of: request.scope + "attention.key.weight")
    gradients = request.training ? BlockGradients(attention, sums: request.sums) : nil
  }

  package func forward(_ blocks: [RowBlock], mode: NetworkMode, into message: FeatureMap) throws {
    queries = []
    try trunk.forward(blocks, mode: mode) { _, output, first in
      let q = trunk.workspace.map(features: width, rows: output.rows)
      products.forward(
        attention.values + query, outputs: width, output, into: q, in: trunk.workspace)
      let folded = trunk.workspace.map(features: width, rows: output.rows)
      products.inputGradient(attention.values + key, q, into: folded, in: trunk.workspace)
      copyColumns(of: folded, into: message, first: first)
      if mode == .training { queries.append(q) }
      attentionWork.forwardFlops += output.rows * 4 * width * width
    }
  }

  /// ∂W_k = Q ∂q̃ᵀ, ∂Q = W_k ∂q̃, ∂W_q = ∂Q h_gᵀ, ∂h_g = W_qᵀ ∂Q.
  package func backward(_ gradient: FeatureMap, rows: FeatureMap?) throws {
    guard let gradients else { preconditionFailure("a frozen gate has no gradients") }
    var keys: [DenseProducts.BlockOfRows] = []
    var inputs: [DenseProducts.BlockOfRows] = []
    try trunk.backward(rows: rows) { index, output, first in
      let block = trunk.block(of: gradient, first: first, rows: output.rows)
      keys.append(.init(gradient: queries[index], input: block))
      let q = trunk.workspace.map(features: width, rows: output.rows)
      products.forward(
        attention.values + key, outputs: width, block, into: q, in: trunk.workspace)
      inputs.append(.init(gradient: q, input: output))
      let hidden = trunk.workspace.map(features: width, rows: output.rows)
      products.inputGradient(attention.values + query, q, into: hidden, in: trunk.workspace)
      attentionWork.backwardFlops += output.rows * 8 * width * width
      return hidden
    }
    let nodes = gradients.nodes(blocks: queries.count)
    for sum in nodes {
      for (blocks, weight) in [(keys, key), (inputs, query)] {
        products.weightGradient(
          Array(blocks[sum.node.here]), additions: sum.node.additions, into: sum.sum + weight,
          in: trunk.workspace)
      }
    }
    try gradients.finish(nodes)
    queries = []
  }
}

/// s_e = q̃·h_e/√H, in a fixed order of additions per row.
struct AttentionScorer: Scorer {
  let width: Int
  /// Where q̃ begins in the message.
  var first = 0
  var messageFeatures: Int { first + width }
  var gradientFeatures: Int { width }
  var hiddenFeatures: Int { width }
  var reasonForAll: String? {
    "keys need every expert; distill to save them"
  }
  private var scale: Float { 1 / Float(width).squareRoot() }

  private func queries(_ rows: ShardRows) -> FeatureMap {
    FeatureMap(base: rows.message[first], features: width, rows: rows.message.rows)
  }

  func score(_ rows: ShardRows, into scores: FeatureMap) {
    kernels.attentionScores(
      queries: queries(rows), answers: rows.answers, rows.layout, scale: scale, into: scores)
  }

  /// ∂q̃ = Σ_e ∂s_e h_e/√H, ascending e; ∂h_e = ∂s_e q̃/√H.
  func backward(_ rows: ShardRows, _ gradients: ScoreGradients, into result: ScorerGradients) {
    kernels.attentionQueryGradient(
      gradients.gate, answers: rows.answers, rows.layout, scale: scale, into: result.message)
    guard let answers = result.answers else { return }
    kernels.attentionKeyGradient(
      gradients.experts, queries: queries(rows), rows.layout, scale: scale, into: answers)
  }
}
