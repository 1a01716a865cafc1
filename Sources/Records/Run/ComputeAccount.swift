public import Files

/// What the experts computed, against what they would have computed if every expert had run on every row.
///
/// The figures are counted where kernels run and messages are sent, over all ranks; FLOPs are 2 per multiply-add of
/// convolutions and dense layers.
public struct ComputeAccount: Equatable, Sendable {
  /// One expert's share.
  public struct Expert: Equatable, Sendable {
    public var expert: Int
    /// The rank that it lives on.
    public var owner: Int
    /// Rows that the gate's selection gave to it.
    public var rowsSelected: Int
    /// Rows that it ran on.
    public var rowsComputed: Int
    public var forwardFlops: Int
    public var backwardFlops: Int

    public init(
      expert: Int, owner: Int, rowsSelected: Int, rowsComputed: Int, forwardFlops: Int, backwardFlops: Int
    ) {
      self.expert = expert
      self.owner = owner
      self.rowsSelected = rowsSelected
      self.rowsComputed = rowsComputed
      self.forwardFlops = forwardFlops
      self.backwardFlops = backwardFlops
    }
  }

  /// Rows of the batches that the account is about.
  public var rows: Int
  /// Ascending by number.
  public var experts: [Expert]
  public var gateForwardFlops: Int
  public var gateBackwardFlops: Int
  /// FLOPs of all experts on all rows, forward and backward.
  public var denseExpertFlops: Int
  /// Why every expert must run, and what to do about it; nil where only the selection decides.
  public var reasonForAll: String?
  /// Bytes that crossed between ranks with samples, with answers, and with the answers' gradients.
  public var bytesDispatched: Int
  public var bytesCombined: Int
  public var bytesReturned: Int

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

  /// Whether every expert ran on every row, so that nothing was saved.
  public var isDense: Bool { experts.allSatisfy { $0.rowsComputed >= rows } }

  /// Experts' FLOPs against dense experts; 1 where there was nothing to do.
  public var expertShare: Double {
    denseExpertFlops > 0 ? Double(expertFlops) / Double(denseExpertFlops) : 1
  }

  /// FLOPs of gate and experts against gate and dense experts.
  public var wholeShare: Double {
    let dense = gateFlops + denseExpertFlops
    return dense > 0 ? Double(gateFlops + expertFlops) / Double(dense) : 1
  }

  // MARK: - Text and JSON

  /// The account that `train` and `evaluate` print at their end. It speaks of savings only where some were made.
  public var text: String {
    var table = TextTable(heading: [
      "expert", "rank", "rows selected", "rows computed", "forward FLOPs", "backward FLOPs",
    ])
    for expert in experts {
      table.add([
        String(expert.expert), String(expert.owner), String(expert.rowsSelected), String(expert.rowsComputed),
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
      text += "with the gate: \(withPrefix(Double(gateFlops + expertFlops))) FLOPs of "
      text += "\(withPrefix(Double(gateFlops + denseExpertFlops))) dense = \(fixed(100 * wholeShare, 1)) %\n"
    }
    text +=
      "moved between ranks: \(bytesText(bytesDispatched)) of samples, \(bytesText(bytesCombined)) of answers"
    text += bytesReturned > 0 ? ", \(bytesText(bytesReturned)) of gradients\n" : "\n"
    return text
  }

  public var json: JSONValue {
    [
      "rows": .integer(rows),
      "experts": .array(
        experts.map {
          [
            "expert": .integer($0.expert), "rank": .integer($0.owner),
            "rows_selected": .integer($0.rowsSelected),
            "rows_computed": .integer($0.rowsComputed), "forward_flops": .integer($0.forwardFlops),
            "backward_flops": .integer($0.backwardFlops),
          ]
        }),
      "gate_forward_flops": .integer(gateForwardFlops),
      "gate_backward_flops": .integer(gateBackwardFlops),
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
