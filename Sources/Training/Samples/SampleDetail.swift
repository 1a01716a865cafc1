public import Files

/// One image's way through a model: what the gates said of it, which experts ran, and what each of them answered.
public struct SampleDetail: Equatable, Sendable {
  public let outcome: SampleOutcome
  /// [C] the model's probability of every class.
  public let distribution: [Float]
  /// Of every mixture layer, the first first.
  public let layers: [Layer]
  /// [E] an expert's probability of every class, nil where it did not run; empty where experts answer hidden rows.
  public let answers: [[Float]?]

  /// What happened in a mixture layer.
  public struct Layer: Equatable, Sendable {
    /// [E] p(e|x); 1 for the single model.
    public let gate: [Float]
    /// [E]
    public let parts: [ExpertPart]

    public init(gate: [Float], parts: [ExpertPart]) {
      self.gate = gate
      self.parts = parts
    }

    /// The experts that ran, ascending.
    public var ran: [Int] { parts.indices.filter { parts[$0] != .idle } }
    /// The experts whose answers the mixture takes, ascending.
    public var mixed: [Int] { parts.indices.filter { parts[$0] == .mixed } }
    /// The entropy of the gate's probabilities, in bits.
    public var entropy: Double { entropyInBits(gate.lazy.map { Double($0) }) }
  }

  public init(outcome: SampleOutcome, distribution: [Float], layers: [Layer], answers: [[Float]?]) {
    self.outcome = outcome
    self.distribution = distribution
    self.layers = layers
    self.answers = answers
  }

  /// The most probable classes of a distribution, the lower number first of equals.
  ///
  /// - Parameter distribution: [C]
  public static func top(_ count: Int, of distribution: [Float]) -> [(class: Int, probability: Float)] {
    distribution.indices.sorted { (distribution[$0], -$0) > (distribution[$1], -$1) }.prefix(count)
      .map { ($0, distribution[$0]) }
  }
}

// MARK: - JSON

extension SampleDetail {
  /// Everything as JSON.
  ///
  /// - Parameter top: how many classes of every answer; nil: all, as lists by class.
  public func json(top: Int?) -> [JSONValue.Member] {
    func answer(_ distribution: [Float]) -> JSONValue {
      guard let top else { return JSONValue(distribution) }
      return .array(
        Self.top(top, of: distribution).map {
          ["class": .integer($0.class), "probability": JSONValue(shortest: $0.probability)]
        })
    }
    return [
      .init(key: "sample", value: .integer(outcome.sample)),
      .init(key: "label", value: JSONValue(outcome.label)),
      .init(key: "prediction", value: .integer(outcome.prediction)),
      .init(key: "probability", value: JSONValue(shortest: outcome.probability)),
      .init(key: "distribution", value: answer(distribution)),
      .init(key: "layers", value: .array(layers.map(\.json))),
      .init(
        key: "answers", value: answers.isEmpty ? .null : .array(answers.map { $0.map(answer) ?? .null })),
    ]
  }
}

extension SampleDetail.Layer {
  var json: JSONValue {
    func list(_ experts: [Int]) -> JSONValue { .array(experts.map { .integer($0) }) }
    return [
      "gate": JSONValue(gate), "ran": list(ran), "mixed": list(mixed), "entropy": .number(entropy),
    ]
  }
}

extension JSONValue {
  /// A number in the fewest digits that read back as the same float.
  public init(shortest value: Float) {
    self = .number(Double(value.description) ?? Double(value))
  }

  /// A list of such numbers.
  public init(_ values: [Float]) { self = .array(values.map { JSONValue(shortest: $0) }) }
}
