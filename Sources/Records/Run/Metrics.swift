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
  /// Means over the training batches of (std(I)/mean(I))² and of L_s; nil without the regulariser, and in evaluation.
  public let importanceLoss: Double?
  public let similarityLoss: Double?
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
    rows: Int, loss: Double, crossEntropy: Double, importanceLoss: Double?, similarityLoss: Double?,
    error: Double, topFiveError: Double?, mutualInformation: Double?, mutualInformationTrue: Double?,
    sampleEntropy: Double?, usageEntropy: Double?, taskEntropy: Double?, expertShare: [Double]?,
    deadExperts: Int?, hardTable: [[Int]]?, softTable: [[Double]]?
  ) {
    self.rows = rows
    self.loss = loss
    self.crossEntropy = crossEntropy
    self.importanceLoss = importanceLoss
    self.similarityLoss = similarityLoss
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
