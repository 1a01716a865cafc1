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

/// What is divided by what in the sample-similarity regulariser.
public enum SimilarityScaling: String, CaseIterable, Sendable {
  /// Both terms by B(B−1), the number of ordered pairs.
  case perPair = "per-pair"
  /// As the authors' code does: only the dissimilarity term, by B².
  case authors
}

public enum SimilarityDistance: String, CaseIterable, Sendable {
  case euclidean
  case squaredEuclidean = "squared-euclidean"
}

/// Which tensors a run leaves as they start.
public enum Freeze: String, CaseIterable, Sendable {
  case none
  case gate
  case experts
}

/// Which tensors are taken from the file of `initFrom`.
public enum InitialTensors: String, CaseIterable, Sendable {
  case all
  case gate
  case experts
}

/// What a gate learns from an attentive model.
public enum DistillationLoss: String, CaseIterable, Sendable {
  /// The mixture's cross-entropy on the labels: the authors' way, without a teacher.
  case labels
  /// KL(p_attentive ‖ p_plain).
  case kl
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
