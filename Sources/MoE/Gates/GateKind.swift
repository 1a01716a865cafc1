/// Which gate chooses the experts, by its name.
public struct GateKind: RawRepresentable, CaseIterable, Hashable, Sendable, CustomStringConvertible {
  /// The one list of gates, in the order of help texts.
  private static let designs: [(kind: GateKind, design: any GateDesign)] = [
    (.softmax, SoftmaxGateDesign()),
    (.attentive, AttentiveGateDesign()),
    (.peeking, PeekingGateDesign()),
    (.loudest, LoudestGateDesign()),
    (.loss, LossGateDesign()),
    (.classes, ClassGateDesign()),
    (.none, NoGateDesign()),
  ]

  /// The name.
  public let rawValue: String

  /// The gate of a name; nil where the list has none.
  public init?(rawValue: String) {
    guard GateKind.allCases.contains(where: { $0.rawValue == rawValue }) else { return nil }
    self.rawValue = rawValue
  }

  /// A gate of the list.
  init(_ name: String) { rawValue = name }

  public static var allCases: [GateKind] { designs.map(\.kind) }
  public var description: String { rawValue }

  package var design: any GateDesign {
    guard let found = GateKind.designs.first(where: { $0.kind == self }) else {
      preconditionFailure("a gate is one of the list")
    }
    return found.design
  }
}

// MARK: Gates that code speaks of

extension GateKind {
  /// A network with a softmax output over the experts.
  public static let softmax = GateKind("softmax")
  /// A network's query against keys made from the experts' hidden layers; every expert must run.
  public static let attentive = GateKind("attentive")
  /// The expert with the smallest loss, from the labels; no network.
  public static let peeking = GateKind("peeking")
  /// The expert whose answer has the smallest entropy; no network.
  public static let loudest = GateKind("loudest")
  /// A network that predicts every expert's log-likelihood.
  public static let loss = GateKind("loss")
  /// The expert that the user gave a class to; no network.
  public static let classes = GateKind("classes")
  /// No gate: the single model, one expert alone.
  public static let none = GateKind("none")
}
