public import Files
internal import MoE
internal import Networks
public import Training

/// What `plan` is asked.
public struct PlanRequest {
  public var outline: ModelOutline
  public var costs: StepCosts
  public var links: Links
  /// Where the costs and the figures of the links come from, for the reader.
  public var sources: [String]
  public var ranks: Int
  /// `auto`, `block` or `round-robin`.
  public var placement: String

  public init(
    outline: ModelOutline, costs: StepCosts, links: Links, sources: [String], ranks: Int, placement: String
  ) {
    self.outline = outline
    self.costs = costs
    self.links = links
    self.sources = sources
    self.ranks = ranks
    self.placement = placement
  }
}

/// A model on a cluster that need not be there: who holds what, and how long a step takes. A pure function of the request;
/// its work does not grow with the number of ranks.
public struct ClusterPlan {
  /// A number of ranks and a place of the gate.
  package struct Choice: Sendable {
    package let gate: GatePlacement
    package let ranks: Int
    package let expertsOnFirst: Int
    package let prediction: StepPrediction
    /// Over one rank.
    package let speedUp: Double
    /// What the speed-up cannot exceed however fast the links are.
    package let bound: Double
    /// Bytes that cross between ranks in a step.
    package let rowBytes: Int
    package let answerBytes: Int
  }

  /// Ranks that hold the same.
  package struct Group: Equatable, Sendable {
    package let ranks: Range<Int>
    package let experts: Int
    package let hasGate: Bool
    package let parameters: Int
    package let memory: Int
  }

  package let request: PlanRequest
  /// The asked number of ranks, for every place of the gate.
  package let choices: [Choice]
  /// Other numbers of ranks, up to the asked one, for every place of the gate.
  package let scaling: [Choice]
  package let recommended: Choice
  private let model: StepModel

  /// - Throws: ``Failure`` with the exit code for wrong usage.
  public init(_ request: PlanRequest) throws(Failure) {
    guard (1...1_000_000).contains(request.ranks) else {
      throw Failure(
        .usage, "\(setting: "ranks", request.ranks) is not allowed: expected a whole number from 1 to 1000000"
      )
    }
    guard ["auto", "block", "round-robin"].contains(request.placement) else {
      throw Failure(
        .usage,
        "\(setting: "placement", request.placement): a plan is for auto, block or round-robin, not for a list"
      )
    }
    self.request = request
    let model = StepModel(request.outline, try request.costs.fitted(to: request.outline), request.links)
    self.model = model
    let alone = model.predict(ranks: 1, gate: .root).step
    func choice(_ gate: GatePlacement, _ ranks: Int) -> Choice {
      ClusterPlan.choice(model, request.placement, gate, ranks, alone: alone)
    }
    let places: [GatePlacement] = request.outline.gateComputes ? GatePlacement.allCases : [.root]
    choices = places.map { choice($0, request.ranks) }
    scaling = ClusterPlan.rankCounts(request).flatMap { ranks in
      (ranks == 1 ? [.root] : places).map { choice($0, ranks) }
    }
    let all = scaling + choices
    let best = all.map(\.prediction.step).min() ?? alone
    // The fewest ranks that are within a twentieth of the fastest; the simpler gate of two that are equal.
    recommended =
      all.filter { $0.prediction.step <= 1.05 * best }
      .min { ($0.ranks, $0.prediction.step) < ($1.ranks, $1.prediction.step) } ?? choices[0]
  }

  /// Powers of two, and where something ends: experts, blocks.
  private static func rankCounts(_ request: PlanRequest) -> [Int] {
    var counts: Set<Int> = [3, request.outline.experts, request.outline.experts + 1, request.outline.blocks]
    var power = 1
    while power < request.ranks {
      counts.insert(power)
      power *= 2
    }
    return counts.filter { $0 >= 1 && $0 < request.ranks }.sorted()
  }

  private static func choice(
    _ model: StepModel, _ placement: String, _ gate: GatePlacement, _ ranks: Int, alone: Double
  ) -> Choice {
    let experts = model.outline.experts
    let load = model.load(gate: gate, ranks: ranks)
    let first =
      switch placement {
      case "block": experts / ranks
      case "round-robin": (experts + ranks - 1) / ranks
      default: load.expertsOnFirst(of: experts, ranks: ranks)
      }
    let prediction = model.predict(ranks: ranks, gate: gate, expertsOnFirst: first)
    let layout = StepLayout(model.outline, ranks: ranks, gate: gate, expertsOnFirst: first)
    return Choice(
      gate: gate, ranks: ranks, expertsOnFirst: first, prediction: prediction,
      speedUp: alone / prediction.step, bound: model.bound(gate: gate, ranks: ranks, alone: alone),
      rowBytes: Int(layout.crossingRows), answerBytes: Int(layout.crossingAnswers))
  }

  /// The ranks of a choice, equal ones together, in their order.
  package func groups(_ choice: Choice) -> [Group] {
    let outline = request.outline
    let ranks = choice.ranks
    let rest = outline.experts - choice.expertsOnFirst
    let each = ranks > 1 ? rest / (ranks - 1) : 0
    let more = ranks > 1 ? rest % (ranks - 1) : 0
    let parts: [(Range<Int>, Int)] = [
      (0..<1, choice.expertsOnFirst), (1..<1 + more, each + 1), (1 + more..<max(ranks, 1 + more), each),
    ]
    return parts.filter { !$0.0.isEmpty }.map { range, experts in
      // A replica of the gate is kept by every rank, also where there are fewer blocks.
      let hasGate = outline.gateComputes && (choice.gate == .replicated || range.lowerBound == 0)
      return Group(
        ranks: range, experts: experts, hasGate: hasGate,
        parameters: outline.trunkParameters
          + (hasGate ? outline.layers * outline.gateSize.parameterCount : 0)
          + experts * outline.layers * outline.expertSpec.parameterCount,
        memory: outline.memory(experts: experts, gate: hasGate))
    }
  }
}

extension StepModel {
  /// What the speed-up of N ranks over one cannot exceed, however fast the links: the time of one rank over the smallest
  /// possible largest load of gate and experts. A replicated gate is divided in whole blocks over at most K ranks.
  ///
  /// - Parameter alone: seconds of a step on one rank.
  package func bound(gate: GatePlacement, ranks: Int, alone: Double) -> Double {
    guard ranks > 1 else { return 1 }
    let root = load(gate: .root, ranks: ranks)
    let gateTime = root.gateForward + root.gateBackward
    let expert = root.expertForward + root.expertBackward
    let trunk =
      costs.trunkForward.seconds(calls: Double(outline.blocks), units: Double(outline.batchRows))
      + costs.trunkBackward.seconds(calls: Double(outline.blocks), units: Double(outline.batchRows))
    let whole = gateTime + trunk + Double(outline.experts) * expert
    guard whole > 0 else { return Double(ranks) }
    if gate == .root { return alone / whole * root.bound(experts: outline.experts, ranks: ranks) }
    let share = Double((outline.blocks + ranks - 1) / ranks) / Double(max(outline.blocks, 1))
    let most = Double((outline.experts + ranks - 1) / ranks)
    // Either an even share of everything, or the largest piece that cannot be divided.
    return alone / max(whole / Double(ranks), (gateTime + trunk) * share, most * expert)
  }
}
