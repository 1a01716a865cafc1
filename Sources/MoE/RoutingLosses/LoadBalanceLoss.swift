public import KernelInterface

/// The load-balancing loss of the Switch Transformer (Fedus et al. 2021, arXiv 2101.03961, equations 4 to 6), after GShard
/// (Lepikhin et al. 2020): E·Σ_e f_e P_e. f_e is the share of the batch's assignments that select expert e, of which a row has
/// k, before capacity takes any away and without a gradient; P_e is the mean of p_e over the batch. 1 where both are even.
public final class LoadBalanceLoss: RoutingLoss {
  public let name = "load_balance_loss"
  public let scope = LossScope.batch(needsRows: false)
  public let variable = LossVariable.probabilities
  private let weight: Double

  /// - Parameter weight: what the loss is multiplied by when it is added to the model's.
  public init(weight: Double) { self.weight = weight }

  /// ∂/∂p_e(x) = E f_e/B, the same for every row.
  public func add(_ view: RoutingView, to gradient: FeatureMap) -> LossValue {
    let p = view.probabilities
    let experts = Double(p.features)
    let batch = Double(view.batchRows)
    let shares = assignments(view.select(), experts: p.features)
    var loss = 0.0
    for expert in 0..<p.features {
      let mean = view.rows.reduce(0.0) { $0 + Double(p[expert][$1]) } / batch
      loss += experts * shares[expert] * mean
      let slope = Float(weight * experts * shares[expert] / batch)
      for row in view.rows { gradient[expert][row] += slope }
    }
    return LossValue(reported: loss, weighted: weight * loss)
  }

  /// f
  private func assignments(_ table: SlotTable?, experts: Int) -> [Double] {
    guard let table else { return Array(repeating: 1 / Double(experts), count: experts) }
    var counts = [Int](repeating: 0, count: experts)
    for row in 0..<table.rows {
      for slot in 0..<table.slots { counts[table[row, slot]] += 1 }
    }
    return counts.map { Double($0) / Double(table.rows * table.slots) }
  }
}
