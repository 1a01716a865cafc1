public import KernelInterface

/// L_imp = (std(I)/mean(I))² of the importances I_e = Σ_x p_e(x), with the unbiased std (Shazeer et al. 2017): equal use of
/// all experts. Zero for one expert.
public final class ImportanceLoss: RoutingLoss {
  public let name = "importance_loss"
  public let scope = LossScope.batch(needsRows: false)
  public let variable = LossVariable.probabilities
  private let weight: Double

  /// - Parameter weight: what the loss is multiplied by when it is added to the model's.
  public init(weight: Double) { self.weight = weight }

  /// With V the variance and m the mean of I over E experts: ∂(V/m²)/∂I_e = 2 (I_e − m)/((E−1) m²) − 2 V/(E m³), the same
  /// for every row.
  public func add(_ view: RoutingView, to gradient: FeatureMap) -> LossValue {
    let p = view.probabilities
    let experts = p.features
    guard experts > 1 else { return LossValue(reported: 0, weighted: 0) }
    let importances = (0..<experts).map { expert in
      (0..<p.rows).reduce(0.0) { $0 + Double(p[expert][$1]) }
    }
    let mean = importances.reduce(0, +) / Double(experts)
    let variance = importances.reduce(0.0) { $0 + ($1 - mean) * ($1 - mean) } / Double(experts - 1)
    for expert in 0..<experts {
      let own = 2 * (importances[expert] - mean) / (Double(experts - 1) * mean * mean)
      let common = 2 * variance / (Double(experts) * mean * mean * mean)
      add(Float(weight * (own - common)), to: gradient[expert], count: gradient.rows)
    }
    let loss = variance / (mean * mean)
    return LossValue(reported: loss, weighted: weight * loss)
  }

  private func add(_ value: Float, to line: Floats, count: Int) {
    for row in 0..<count { line[row] += value }
  }
}
