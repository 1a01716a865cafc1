public import KernelInterface
internal import Numerics

/// The router z-loss of ST-MoE (Zoph et al. 2022, arXiv 2202.08906, equation 5): the mean over rows of (ln Σ_e exp s_e)² of
/// the gate's scores s, before temperature and noise. It keeps scores small, where floats are close together.
public final class RouterZLoss: RoutingLoss {
  public let name = "z_loss"
  public let scope = LossScope.row
  public let variable = LossVariable.scores
  private let weight: Double
  private let workspace = Workspace()

  /// - Parameter weight: what the loss is multiplied by when it is added to the model's.
  public init(weight: Double) { self.weight = weight }

  /// With l = ln Σ exp s and q = softmax(s): ∂(l²/B)/∂s_e = 2 l q_e/B.
  public func add(_ view: RoutingView, to gradient: FeatureMap) -> LossValue {
    let scores = view.scores.clean
    let batch = Double(view.batchRows)
    workspace.reset()
    let block = workspace.map(features: scores.features, rows: view.rows.count)
    block.clear()
    for expert in 0..<scores.features {
      block[expert].update(from: scores[expert] + view.rows.lowerBound, count: view.rows.count)
    }
    let q = workspace.map(features: scores.features, rows: view.rows.count)
    kernels.softmax(block, scale: 1, into: q)
    var sum = 0.0
    for row in 0..<view.rows.count {
      var best = 0
      for expert in 1..<max(scores.features, 1) where block[expert][row] > block[best][row] { best = expert }
      // The largest q is at least 1/E, so that its logarithm is exact enough whatever the scores are.
      let l = Double(block[best][row]) - logarithm2(Double(q[best][row])) / log2OfE
      sum += l * l
      let factor = Float(2 * weight * l / batch)
      for expert in 0..<scores.features {
        gradient[expert][view.rows.lowerBound + row] += factor * q[expert][row]
      }
    }
    return LossValue(reported: sum / batch, weighted: weight * sum / batch)
  }
}
