/// A gate scores the experts for every row. It works on the blocks of the batch, so that its bits do not depend on the
/// number of ranks, and lives where the step puts it: on rank 0.
///
/// Adding a gate: one file with a conformance, and one case of ``GateKind`` with its line in ``GateKind/makeGate(_:)``.
package protocol Gate: AnyObject {
  /// The gate's network, for checkpoint, update and account; nil for a gate without parameters.
  var network: Network? { get }

  /// Writes the logits of all rows, [experts][rows], block by block.
  func forward(_ blocks: [Tiles], mode: NetworkMode, into logits: FeatureMap)

  /// Computes the gradients of the parameters from the gradient of the logits of the last forward pass in training.
  func backward(_ gradient: FeatureMap)
}

/// What a gate is made from.
package struct GateRequest {
  package let family: NetworkFamily
  package let input: ImageShape
  package let experts: Int
  package let blockRows: Int
  /// The largest batch that is trained on.
  package let batchRows: Int
  package let training: Bool
}

extension GateKind {
  package func makeGate(_ request: GateRequest) -> any Gate {
    switch self {
    case .softmax: SoftmaxGate(request)
    case .none: NoGate()
    }
  }

  /// The network of the gate, if it has one.
  package func spec(family: NetworkFamily, input: ImageShape, experts: Int) -> NetworkSpec? {
    switch self {
    case .softmax: family.gate(input: input, experts: experts)
    case .none: nil
    }
  }
}

/// The single model's gate: its one expert always runs.
final class NoGate: Gate {
  var network: Network? { nil }
  func forward(_ blocks: [Tiles], mode: NetworkMode, into logits: FeatureMap) { logits.clear() }
  func backward(_ gradient: FeatureMap) {}
}
