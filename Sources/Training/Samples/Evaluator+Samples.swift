public import DataSets
public import Dist
public import Files
internal import MoE
internal import Networks

/// The ways of a few images through a model; complete on rank 0 only.
public struct SampleWays: Sendable {
  /// In the order in which the samples were named.
  public let details: [SampleDetail]
  /// The rank of every expert here.
  public let placement: [Int]
  /// Ranks here.
  public let ranks: Int
  /// Forward FLOPs of one image, 2 per multiply-add.
  public let costs: SampleCosts
  /// Whether a gate works on rank 0 for all ranks here.
  public let hasGateOnRoot: Bool
  /// Why every expert runs whatever is chosen; nil where only the choice decides.
  public let reasonForAll: String?
  /// What has to be said where experts were chosen by the labels; nil where they were not.
  public let oracleNote: Message?

  package init(
    details: [SampleDetail], placement: [Int], ranks: Int, costs: SampleCosts, hasGateOnRoot: Bool,
    reasonForAll: String?, oracleNote: Message?
  ) {
    self.details = details
    self.placement = placement
    self.ranks = ranks
    self.costs = costs
    self.hasGateOnRoot = hasGateOnRoot
    self.reasonForAll = reasonForAll
    self.oracleNote = oracleNote
  }
}

/// Forward FLOPs of one image.
public struct SampleCosts: Equatable, Sendable {
  /// Of all gates.
  public let gate: Int
  /// Of what is in front of the mixture layers and behind them.
  public let trunk: Int
  /// Of one expert.
  public let expert: Int
  /// Of all layers.
  public let experts: Int

  public init(gate: Int, trunk: Int, expert: Int, experts: Int) {
    self.gate = gate
    self.trunk = trunk
    self.expert = expert
    self.experts = experts
  }

  package init(_ outline: ModelOutline) {
    self.init(
      gate: outline.layers * outline.gateSize.forwardFlops, trunk: outline.trunkFlops.forward,
      expert: outline.expertSpec.forwardFlops, experts: outline.layers * outline.experts)
  }

  /// With every expert.
  public var dense: Int { gate + trunk + experts * expert }

  /// With the experts that ran for an image.
  public func flops(_ detail: SampleDetail) -> Int {
    gate + trunk + detail.layers.reduce(0) { $0 + $1.ran.count } * expert
  }
}

extension Evaluator {
  /// What happens to samples of a split. Collective.
  ///
  /// - Parameters:
  ///   - samples: their numbers in the file of the split, as `evaluate --per-sample` has them.
  ///   - trained: the checkpoint's configuration.
  /// - Throws: ``Failure`` with the exit code for usage for a sample that is not in the split, and as
  ///   ``evaluate(_:split:trained:data:communicator:each:)``.
  public static func ways(
    _ request: EvaluationRequest, of samples: [Int], split: Split, trained: Configuration, data: DataSet,
    communicator: any Communicator
  ) throws -> SampleWays {
    let (images, known) = try self.samples(of: split, trained, data)
    let numbers = Set(known)
    for sample in samples {
      guard let number = Int32(exactly: sample), numbers.contains(number) else {
        let isElsewhere = split != .test && (0..<images.count).contains(sample)
        let other = split == .train ? Split.validation : Split.train
        throw AgreedError(
          Failure(
            .usage,
            isElsewhere
              ? "\(setting: "sample", sample): is in the other part of the training set; see \(setting: "split", other.rawValue)"
              : "\(setting: "sample", sample): images of \(split == .test ? "the test set" : "the training set") are numbered from 0 "
                + "to \(images.count - 1)"))
      }
    }
    var details: [SampleDetail] = []
    let (evaluation, session) = try run(
      request, images, samples.map { Int32($0) }, trained: trained, data: data, communicator: communicator,
      detail: { details += $0 })
    let outline = session.parts.outline
    return SampleWays(
      details: details, placement: session.parts.placement.owners, ranks: communicator.size,
      costs: SampleCosts(outline),
      hasGateOnRoot: outline.gateComputes && trained.gatePlacement == .root,
      reasonForAll: session.evaluationRule.scorer.reasonForAll,
      oracleNote: evaluation.oracleNote)
  }
}
