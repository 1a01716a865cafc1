// E experts, C classes. Entropies and mutual informations are in bits, losses in nats.

/// What is known about a model after a set of samples: its errors, and how its gate divides the work.
///
/// The definitions are those of Krishnamurthy et al. (arXiv 2302.14703); `p` is always the gate's full softmax,
/// whatever the combine rule. The figures about the gate are nil for a single model.
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
  /// I(E;Y) between the chosen expert and that expert's own arg-max class: the definition of the paper's authors.
  public let mutualInformation: Double?
  /// I(E;Y) between the chosen expert and the true class.
  public let mutualInformationTrue: Double?
  /// Mean over samples of H(p(x)): how undecided the gate is about one sample.
  public let sampleEntropy: Double?
  /// H of the mean of p over the whole set: how evenly the experts are used.
  public let usageEntropy: Double?
  /// Mean over the classes that occur of H of the mean of p over a class's samples.
  public let taskEntropy: Double?
  /// [E] share of samples whose arg-max expert is e.
  public let expertShare: [Double]?
  /// Experts that are the arg-max expert of fewer than 1 % of the samples.
  public let deadExperts: Int?
  /// [E][C] samples by arg-max expert and true class.
  public let hardTable: [[Int]]?
  /// [E][C] sums of p_e over the samples of a true class.
  public let softTable: [[Double]]?

  package init(
    rows: Int, loss: Double, crossEntropy: Double, routingLosses: [NamedFigure], error: Double,
    topFiveError: Double?, mutualInformation: Double?, mutualInformationTrue: Double?,
    sampleEntropy: Double?, usageEntropy: Double?, taskEntropy: Double?, expertShare: [Double]?,
    deadExperts: Int?, hardTable: [[Int]]?, softTable: [[Double]]?
  ) {
    self.rows = rows
    self.loss = loss
    self.crossEntropy = crossEntropy
    self.routingLosses = routingLosses
    self.error = error
    self.topFiveError = topFiveError
    self.mutualInformation = mutualInformation
    self.mutualInformationTrue = mutualInformationTrue
    self.sampleEntropy = sampleEntropy
    self.usageEntropy = usageEntropy
    self.taskEntropy = taskEntropy
    self.expertShare = expertShare
    self.deadExperts = deadExperts
    self.hardTable = hardTable
    self.softTable = softTable
  }
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
  /// The text of `expert_class.csv`: a heading, then a line per expert with its samples of every true class; that of
  /// `expert_class_soft.csv` with its sums of p, in the fewest digits that read back as the same number.
  public static func expertClassText<Value: Numeric & CustomStringConvertible>(_ table: [[Value]]) -> String {
    let classes = table.first?.count ?? 0
    precondition(table.allSatisfy { $0.count == classes }, "every expert needs a count for every class")
    var text = "expert" + (0..<classes).map { ",class_\($0)" }.joined() + "\n"
    for (expert, counts) in table.enumerated() {
      text += "\(expert)" + counts.map { ",\($0)" }.joined() + "\n"
    }
    return text
  }
}
