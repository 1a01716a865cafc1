/// The optimisers that a run can choose by name.
public enum OptimiserKind: String, CaseIterable, Sendable {
  /// ``Adam``
  case adam
  /// ``AdamW``
  case adamw
  /// ``SGD``
  case sgd

  /// The optimiser with its standard constants.
  ///
  /// - Parameter momentum: μ, for ``sgd``.
  public func optimiser(momentum: Double) -> any Optimiser {
    switch self {
    case .adam: Adam()
    case .adamw: AdamW()
    case .sgd: SGD(momentum: momentum)
    }
  }
}
