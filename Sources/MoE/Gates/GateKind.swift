/// Which gate chooses the experts.
public enum GateKind: String, CaseIterable, Sendable {
  /// A network with a softmax output over the experts.
  case softmax
  /// A network's query against keys made from the experts' hidden layers; every expert must run.
  case attentive
  /// The expert with the smallest loss, from the labels; no network.
  case peeking
  /// The expert whose answer has the smallest entropy; no network.
  case loudest
  /// A network that predicts every expert's log-likelihood.
  case loss
  /// The expert that the user gave a class to; no network.
  case classes
  /// No gate: the single model, one expert alone.
  case none
}

extension GateKind {
  /// The one list of gates.
  package var design: any GateDesign {
    switch self {
    case .softmax: SoftmaxGateDesign()
    case .attentive: AttentiveGateDesign()
    case .classes: ClassGateDesign()
    case .peeking: PeekingGateDesign()
    case .loudest: LoudestGateDesign()
    case .loss: LossGateDesign()
    case .none: NoGateDesign()
    }
  }
}
