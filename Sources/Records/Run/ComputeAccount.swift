public import Files

/// What the experts computed, against what they would have computed if every expert had run on every row.
///
/// The figures are counted where kernels run and messages are sent, over all ranks; FLOPs are 2 per multiply-add of
/// convolutions and dense layers.
public struct ComputeAccount: Equatable, Sendable {
  /// One expert's share.
  public struct Expert: Equatable, Sendable {
    public var expert: Int
    /// The mixture layer that it belongs to, from 1.
    public var layer: Int
    /// The rank that it lives on.
    public var owner: Int
    /// Rows that the gate's selection gave to it.
    public var rowsSelected: Int
    /// Rows that it ran on.
    public var rowsComputed: Int
    public var forwardFlops: Int
    public var backwardFlops: Int

    /// Its number, behind that of its layer where there are several: `0`, `2.0`.
    public var name: String { layer > 1 ? "\(layer).\(expert)" : String(expert) }

    public init(
      expert: Int, layer: Int = 1, owner: Int, rowsSelected: Int, rowsComputed: Int, forwardFlops: Int,
      backwardFlops: Int
    ) {
      self.expert = expert
      self.layer = layer
      self.owner = owner
      self.rowsSelected = rowsSelected
      self.rowsComputed = rowsComputed
      self.forwardFlops = forwardFlops
      self.backwardFlops = backwardFlops
    }
  }

  /// Rows of the batches that the account is about.
  public var rows: Int
  /// Layer by layer, ascending by number.
  public var experts: [Expert]
  public var gateForwardFlops: Int
  public var gateBackwardFlops: Int
  /// Of what is in front of the mixture layers and behind them; 0 where nothing is.
  public var trunkForwardFlops = 0
  public var trunkBackwardFlops = 0
  /// FLOPs of all experts on all rows, forward and backward.
  public var denseExpertFlops: Int
  /// Why every expert must run, and what to do about it; nil where only the selection decides.
  public var reasonForAll: String?
  /// Bytes that crossed between ranks with samples, with answers, and with the answers' gradients.
  public var bytesDispatched: Int
  public var bytesCombined: Int
  public var bytesReturned: Int
  /// Who sent how much to whom; nil where it was not counted.
  public var traffic: RankTraffic?

  public init(
    rows: Int, experts: [Expert], gateForwardFlops: Int, gateBackwardFlops: Int, denseExpertFlops: Int,
    bytesDispatched: Int, bytesCombined: Int, bytesReturned: Int,
    reasonForAll: String? = nil
  ) {
    self.rows = rows
    self.reasonForAll = reasonForAll
    self.experts = experts
    self.gateForwardFlops = gateForwardFlops
    self.gateBackwardFlops = gateBackwardFlops
    self.denseExpertFlops = denseExpertFlops
    self.bytesDispatched = bytesDispatched
    self.bytesCombined = bytesCombined
    self.bytesReturned = bytesReturned
  }

  public var expertFlops: Int { experts.reduce(0) { $0 + $1.forwardFlops + $1.backwardFlops } }
  public var gateFlops: Int { gateForwardFlops + gateBackwardFlops }
  public var trunkFlops: Int { trunkForwardFlops + trunkBackwardFlops }
  /// What runs on every row whatever is chosen: gates, trunk and head.
  public var sharedFlops: Int { gateFlops + trunkFlops }
  private var hasLayers: Bool { experts.contains { $0.layer > 1 } }

  /// Whether every expert ran on every row, so that nothing was saved.
  public var isDense: Bool { experts.allSatisfy { $0.rowsComputed >= rows } }

  /// Experts' FLOPs against dense experts; 1 where there was nothing to do.
  public var expertShare: Double {
    denseExpertFlops > 0 ? Double(expertFlops) / Double(denseExpertFlops) : 1
  }

  /// FLOPs of the whole step against those with dense experts.
  public var wholeShare: Double {
    let dense = sharedFlops + denseExpertFlops
    return dense > 0 ? Double(sharedFlops + expertFlops) / Double(dense) : 1
  }

  // MARK: - Text and JSON

  /// The account that `train` and `evaluate` print at their end. It speaks of savings only where some were made.
  public var text: String {
    var table = TextTable(heading: [
      "expert", "rank", "rows selected", "rows computed", "forward FLOPs", "backward FLOPs",
    ])
    for expert in experts {
      table.add([
        expert.name, String(expert.owner), String(expert.rowsSelected), String(expert.rowsComputed),
        withPrefix(Double(expert.forwardFlops)), withPrefix(Double(expert.backwardFlops)),
      ])
    }
    table.add([
      "all", "", String(experts.reduce(0) { $0 + $1.rowsSelected }),
      String(experts.reduce(0) { $0 + $1.rowsComputed }),
      withPrefix(Double(experts.reduce(0) { $0 + $1.forwardFlops })),
      withPrefix(Double(experts.reduce(0) { $0 + $1.backwardFlops })),
    ])
    var text = "conditional computation, \(rows) rows\n" + table.text
    if experts.count == 1 {
      text += "one expert ran on every row: there was nothing to choose\n"
    } else if isDense {
      text += "every expert ran on every row: nothing was saved"
      text += reasonForAll.map { "; \($0)\n" } ?? "\n"
    } else {
      text +=
        "experts: \(withPrefix(Double(expertFlops))) FLOPs of \(withPrefix(Double(denseExpertFlops))) dense = "
      text += fixed(100 * expertShare, 1) + " %\n"
      text += trunkFlops > 0 ? "with trunk, gate and head: " : "with the gate: "
      text += "\(withPrefix(Double(sharedFlops + expertFlops))) FLOPs of "
      text +=
        "\(withPrefix(Double(sharedFlops + denseExpertFlops))) dense = \(fixed(100 * wholeShare, 1)) %\n"
    }
    text +=
      "moved between ranks: \(bytesText(bytesDispatched)) of samples, \(bytesText(bytesCombined)) of answers"
    text += bytesReturned > 0 ? ", \(bytesText(bytesReturned)) of gradients\n" : "\n"
    return text
  }

  /// What the account comes to where nothing was saved, in a line.
  var shortText: String {
    experts.count == 1
      ? "" : "every expert ran on every row: nothing was saved\(reasonForAll.map { "; \($0)" } ?? "")\n"
  }

  public var json: JSONValue {
    var members: [JSONValue.Member] = [
      .init(key: "rows", value: .integer(rows)), .init(key: "experts", value: .array(experts.map(json(_:)))),
      .init(key: "gate_forward_flops", value: .integer(gateForwardFlops)),
      .init(key: "gate_backward_flops", value: .integer(gateBackwardFlops)),
    ]
    if trunkFlops > 0 {
      members += [
        .init(key: "trunk_forward_flops", value: .integer(trunkForwardFlops)),
        .init(key: "trunk_backward_flops", value: .integer(trunkBackwardFlops)),
      ]
    }
    guard case .object(let rest) = costs else { return .object(members) }
    members += rest
    if let traffic { members.append(.init(key: "between_ranks", value: traffic.json)) }
    return .object(members)
  }

  private func json(_ expert: Expert) -> JSONValue {
    let layer: [JSONValue.Member] = hasLayers ? [.init(key: "layer", value: .integer(expert.layer))] : []
    let figures: JSONValue = [
      "expert": .integer(expert.expert), "rank": .integer(expert.owner),
      "rows_selected": .integer(expert.rowsSelected),
      "rows_computed": .integer(expert.rowsComputed), "forward_flops": .integer(expert.forwardFlops),
      "backward_flops": .integer(expert.backwardFlops),
    ]
    guard case .object(let members) = figures else { return figures }
    return .object(layer + members)
  }

  private var costs: JSONValue {
    [
      "expert_flops": .integer(expertFlops),
      "dense_expert_flops": .integer(denseExpertFlops),
      "expert_share": .number(expertShare),
      "whole_share": .number(wholeShare),
      "is_dense": .bool(isDense),
      "bytes_dispatched": .integer(bytesDispatched),
      "bytes_combined": .integer(bytesCombined),
      "bytes_returned": .integer(bytesReturned),
    ]
  }
}
