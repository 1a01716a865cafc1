// E experts, C classes. Entropies and mutual informations are in bits, losses in nats.

/// What is known about a model after a set of samples: its errors, and how its gate divides the work.
///
/// The definitions are those of Krishnamurthy et al. (arXiv 2302.14703). Figures about a gate are nil for a single model.
public struct Metrics: Equatable, Sendable {
  /// Samples that the figures are about.
  public let rows: Int
  /// Mean over the samples of what training minimises, in nats; equals ``crossEntropy`` unless the rule has a loss of its own.
  public let loss: Double
  /// Mean of −ln m_label, in nats.
  public let crossEntropy: Double
  /// Means over the training batches of the losses of the gate's choice, without their weights, by the keys of
  /// `metrics.jsonl`; none in evaluation.
  public let routingLosses: [NamedFigure]
  /// Share of samples whose predicted class is wrong.
  public let error: Double
  /// Share of samples whose label is not among the five likeliest classes; nil for ten classes and fewer.
  public let topFiveError: Double?
  /// Of every mixture layer, the first first; empty for a single model.
  public let gates: [GateFigures]
  /// [C][C] samples by true class and the model's class; nil in training, where they are not counted.
  public let confusion: [[Int]]?

  package init(
    rows: Int, loss: Double, crossEntropy: Double, routingLosses: [NamedFigure], error: Double,
    topFiveError: Double?, gates: [GateFigures], confusion: [[Int]]? = nil
  ) {
    self.rows = rows
    self.loss = loss
    self.crossEntropy = crossEntropy
    self.routingLosses = routingLosses
    self.error = error
    self.topFiveError = topFiveError
    self.gates = gates
    self.confusion = confusion
  }
}

/// The figures of the first layer's gate.
extension Metrics {
  public var mutualInformation: Double? { gates.first?.mutualInformation }
  public var mutualInformationTrue: Double? { gates.first?.mutualInformationTrue }
  public var sampleEntropy: Double? { gates.first?.sampleEntropy }
  public var usageEntropy: Double? { gates.first?.usageEntropy }
  public var taskEntropy: Double? { gates.first?.taskEntropy }
  /// [E]
  public var expertShare: [Double]? { gates.first?.expertShare }
  public var deadExperts: Int? { gates.first?.deadExperts }
  /// [E][C]
  public var hardTable: [[Int]]? { gates.first?.hardTable }
  /// [E][C]
  public var softTable: [[Double]]? { gates.first?.softTable }
}

/// A figure that is known by its name.
public struct NamedFigure: Equatable, Sendable, Codable {
  /// Snake case, as in `metrics.jsonl`.
  public let name: String
  public var value: Double

  public init(_ name: String, _ value: Double) {
    self.name = name
    self.value = value
  }
}

extension [NamedFigure] {
  /// The value of a name.
  public subscript(name: String) -> Double? { first { $0.name == name }?.value }

  /// The names that lists have, each once, in the order in which they come.
  package static func names(of lists: [[NamedFigure]]) -> [String] {
    var names: [String] = []
    for figure in lists.joined() where !names.contains(figure.name) { names.append(figure.name) }
    return names
  }
}

extension Metrics {
  /// The text of `confusion.csv`: a heading, then a line per true class with its samples by the model's class.
  static func confusionText(_ table: [[Int]]) -> String {
    "true" + table.indices.map { ",predicted_\($0)" }.joined() + "\n"
      + table.enumerated().map { label, counts in
        "\(label)" + counts.map { ",\($0)" }.joined() + "\n"
      }.joined()
  }

  /// The text of `expert_class.csv`: a heading, then a line per expert with its samples of every true class; that of
  /// `expert_class_correct.csv` with those that the expert itself gets right; that of `expert_class_soft.csv` with its
  /// sums of p, in the fewest digits that read back as the same number.
  ///
  /// - Parameter tables: [E][C] of every layer. Where there are several, their numbers, from 1, are a first column.
  public static func expertClassText<Value: Numeric & CustomStringConvertible>(
    _ tables: [[[Value]]]
  ) -> String {
    let classes = tables.first?.first?.count ?? 0
    precondition(
      tables.joined().allSatisfy { $0.count == classes }, "every expert needs a count for every class")
    let hasLayers = tables.count > 1
    var text = (hasLayers ? "layer," : "") + "expert" + (0..<classes).map { ",class_\($0)" }.joined() + "\n"
    for (layer, table) in tables.enumerated() {
      for (expert, counts) in table.enumerated() {
        text += (hasLayers ? "\(layer + 1)," : "") + "\(expert)" + counts.map { ",\($0)" }.joined() + "\n"
      }
    }
    return text
  }
}
