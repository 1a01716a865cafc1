public import Files

// E experts, C classes. Entropies and mutual informations are in bits.

/// How the gate of one mixture layer divides the work; nil for what is not known.
///
/// The definitions are those of Krishnamurthy et al. (arXiv 2302.14703); `p` is always the gate's full softmax,
/// whatever the combine rule.
public struct GateFigures: Equatable, Sendable {
  /// I(E;Y) between the chosen expert and that expert's own arg-max class: the definition of the paper's authors. An
  /// expert inside a deeper network has no class of its own; the model's stands for it there.
  public var mutualInformation: Double?
  /// I(E;Y) between the chosen expert and the true class.
  public var mutualInformationTrue: Double?
  /// Mean over samples of H(p(x)): how undecided the gate is about one sample.
  public var sampleEntropy: Double?
  /// H of the mean of p over the whole set: how evenly the experts are used.
  public var usageEntropy: Double?
  /// Mean over the classes that occur of H of the mean of p over a class's samples.
  public var taskEntropy: Double?
  /// [E] share of samples whose arg-max expert is e.
  public var expertShare: [Double]?
  /// Experts that are dead: the arg-max expert of less than 0.05/E of the samples, see ``ExpertUse``.
  public var deadExperts: Int?
  /// [E][C] samples by arg-max expert and true class; no part of ``json``.
  public var hardTable: [[Int]]?
  /// [E][C] those of ``hardTable`` whose class the chosen expert holds likeliest itself; an expert inside a deeper network
  /// has no class of its own, and the model's stands for it. Counted in evaluation; no part of ``json``.
  public var correctTable: [[Int]]?
  /// [E][C] sums of p_e over the samples of a true class; no part of ``json``.
  public var softTable: [[Double]]?

  public init() {}

  /// The keys of ``json``, in its order.
  static let keys = [
    "mutual_information", "mutual_information_true", "sample_entropy", "usage_entropy", "task_entropy",
    "expert_share", "dead_experts",
  ]

  /// The figures without the tables, under the keys of `metrics.jsonl`; what is not known is null.
  public var json: JSONValue {
    [
      "mutual_information": JSONValue(mutualInformation),
      "mutual_information_true": JSONValue(mutualInformationTrue),
      "sample_entropy": JSONValue(sampleEntropy),
      "usage_entropy": JSONValue(usageEntropy),
      "task_entropy": JSONValue(taskEntropy),
      "expert_share": expertShare.map { .array($0.map { JSONValue($0) }) } ?? .null,
      "dead_experts": JSONValue(deadExperts),
    ]
  }
}

extension [GateFigures] {
  /// The value of `layers`: an object per mixture layer, the first first, each with its number from 1.
  var json: JSONValue {
    .array(
      enumerated().map { index, gate in
        guard case .object(let members) = gate.json else { return .null }
        return .object([.init(key: "layer", value: .integer(index + 1))] + members)
      })
  }
}
