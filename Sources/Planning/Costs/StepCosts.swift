public import Files
public import MoE
public import Numerics
package import Training

/// What the parts of a step cost on one core, measured: the rates of a cost model.
///
/// The networks' costs belong to a model and an input; other sizes of batch, numbers of experts and ranks follow from
/// them, see ``StepModel``.
public struct StepCosts: Equatable, Sendable {
  /// What was measured: networks, kind of gate and input.
  public var subject: Subject
  /// Per row that becomes a tile of input.
  package var input = LinearCost()
  /// Calls are blocks, units rows.
  package var gateForward = LinearCost()
  package var gateBackward = LinearCost()
  /// Of trunk and head; calls are blocks, units rows.
  package var trunkForward = LinearCost()
  package var trunkBackward = LinearCost()
  /// Calls are experts with rows, units pairs of row and expert.
  package var expertForward = LinearCost()
  package var expertBackward = LinearCost()
  /// Units are rows of a shard.
  package var plan = LinearCost()
  /// Units are bytes of rows that are packed or received.
  package var dispatch = LinearCost()
  /// Units are values of answers that are packed or received.
  package var combine = LinearCost()
  package var returning = LinearCost()
  /// Units are rows of a shard.
  package var loss = LinearCost()
  /// Calls are batch rows, units pairs of batch rows: the regularisers of the whole batch on rank 0.
  package var regularisers = LinearCost()
  /// Units are parameters.
  package var optimiser = LinearCost()
  /// Units are rows of the batch.
  package var metrics = LinearCost()
  /// Seconds of a step that no phase measures.
  package var other = LinearCost()

  /// The networks that were measured.
  public struct Subject: Equatable, Sendable {
    public let model: String
    public let gate: GateKind
    public let input: ImageShape
    public let classes: Int
    /// Mixture layers, whose costs are taken together.
    public let layers: Int
    public let isRegularised: Bool
    /// FLOPs of the gate per row of a training step, of which its costs were taken.
    package let gateFlops: Int

    package init(_ outline: ModelOutline) {
      model = outline.model
      gate = outline.gateKind
      input = outline.input
      classes = outline.classes
      layers = outline.layers
      isRegularised = outline.isRegularised
      gateFlops = outline.gateFlops
    }

    var words: String {
      "model \(model), gate \(gate.rawValue), images \(input.channels)×\(input.height)×\(input.width), \(classes) classes"
        + (layers > 1 ? ", \(layers) layers" : "")
        + (isRegularised ? ", with regularisers" : "")
    }
  }

  package init(_ subject: Subject) { self.subject = subject }

  /// The costs for a model that differs from the measured one in its number of experts, batch or rule only.
  ///
  /// - Throws: ``Failure`` with the exit code for wrong usage that names both models.
  package func fitted(to outline: ModelOutline) throws(Failure) -> StepCosts {
    let wanted = Subject(outline)
    guard
      subject.model == wanted.model, subject.gate == wanted.gate, subject.input == wanted.input,
      subject.classes == wanted.classes, subject.layers == wanted.layers,
      subject.isRegularised || !wanted.isRegularised
    else {
      throw Failure(
        .usage,
        "the costs are those of \(subject.words), not of \(wanted.words); measure with the same options by "
          + "'moe-dist bench --save FILE', or leave \(setting: "costs") out")
    }
    var costs = self
    costs.subject = wanted
    if !wanted.isRegularised { costs.regularisers = LinearCost() }
    guard subject.gateFlops > 0 else { return costs }
    // The output layer has one unit per expert.
    let factor = Double(wanted.gateFlops) / Double(subject.gateFlops)
    costs.gateForward = gateForward.scaled(by: factor)
    costs.gateBackward = gateBackward.scaled(by: factor)
    return costs
  }

  // MARK: - JSON

  private static let fields: [(String, any WritableKeyPath<StepCosts, LinearCost> & Sendable)] = [
    ("input", \.input), ("gate_forward", \.gateForward), ("gate_backward", \.gateBackward),
    ("expert_forward", \.expertForward), ("expert_backward", \.expertBackward), ("plan", \.plan),
    ("dispatch", \.dispatch), ("combine", \.combine), ("return", \.returning), ("loss", \.loss),
    ("regularisers", \.regularisers), ("optimiser", \.optimiser), ("metrics", \.metrics), ("other", \.other),
    ("trunk_forward", \.trunkForward), ("trunk_backward", \.trunkBackward),
  ]
  /// Without cost where a file does not name them.
  private static let optional: Set = ["trunk_forward", "trunk_backward"]

  public var json: JSONValue {
    [
      "model": .string(subject.model), "gate": .string(subject.gate.rawValue),
      "channels": .integer(subject.input.channels), "height": .integer(subject.input.height),
      "width": .integer(subject.input.width), "classes": .integer(subject.classes),
      "layers": .integer(subject.layers),
      "regularised": .bool(subject.isRegularised), "gate_flops": .integer(subject.gateFlops),
      "seconds": .object(StepCosts.fields.map { .init(key: $0.0, value: self[keyPath: $0.1].json) }),
    ]
  }

  /// Nil where the value is not what ``json`` writes.
  package init?(_ json: JSONValue?) {
    guard let json, let model = json["model"]?.stringValue,
      let gate = json["gate"]?.stringValue.flatMap({ GateKind(rawValue: $0) }),
      let channels = json["channels"]?.integerValue, let height = json["height"]?.integerValue,
      let width = json["width"]?.integerValue, let classes = json["classes"]?.integerValue,
      case .bool(let regularised)? = json["regularised"], let flops = json["gate_flops"]?.integerValue
    else { return nil }
    subject = Subject(
      model: model, gate: gate, input: ImageShape(channels: channels, height: height, width: width),
      classes: classes, layers: json["layers"]?.integerValue ?? 1, isRegularised: regularised,
      gateFlops: flops)
    for (key, path) in StepCosts.fields {
      guard let cost = LinearCost(json["seconds"]?[key]) else {
        guard StepCosts.optional.contains(key) else { return nil }
        continue
      }
      self[keyPath: path] = cost
    }
  }
}

extension StepCosts.Subject {
  init(
    model: String, gate: GateKind, input: ImageShape, classes: Int, layers: Int = 1, isRegularised: Bool,
    gateFlops: Int
  ) {
    self.model = model
    self.gate = gate
    self.input = input
    self.classes = classes
    self.layers = layers
    self.isRegularised = isRegularised
    self.gateFlops = gateFlops
  }
}
