/// The optimisers that a run can choose by name.
public enum OptimiserKind: String, CaseIterable, Sendable {
  case adam
  case adamw
  case sgd

  /// - Parameter momentum: μ, for ``sgd``.
  public func optimiser(momentum: Double) -> any Optimiser {
    switch self {
    case .adam: Adam()
    case .adamw: AdamW()
    case .sgd: SGD(momentum: momentum)
    }
  }
}
