/// The optimisers that a run can choose, by name.
public struct OptimiserKind: RawRepresentable, CaseIterable, Hashable, Sendable, CustomStringConvertible {
  /// The one list of optimisers, each with its standard constants, given μ.
  private static let makers: [(kind: OptimiserKind, make: @Sendable (Double) -> any Optimiser)] = [
    (.adam, { _ in Adam() }),
    (.adamw, { _ in AdamW() }),
    (.sgd, { SGD(momentum: $0) }),
  ]

  /// ``Adam``
  public static let adam = OptimiserKind("adam")
  /// ``AdamW``
  public static let adamw = OptimiserKind("adamw")
  /// ``SGD``
  public static let sgd = OptimiserKind("sgd")

  /// The name.
  public let rawValue: String

  /// The optimiser of a name; nil where the list has none.
  public init?(rawValue: String) {
    guard OptimiserKind.allCases.contains(where: { $0.rawValue == rawValue }) else { return nil }
    self.rawValue = rawValue
  }

  /// An optimiser of the list.
  init(_ name: String) { rawValue = name }

  public static var allCases: [OptimiserKind] { makers.map(\.kind) }
  public var description: String { rawValue }

  /// The optimiser with its standard constants.
  ///
  /// - Parameter momentum: μ, for ``sgd``.
  public func optimiser(momentum: Double) -> any Optimiser {
    guard let found = OptimiserKind.makers.first(where: { $0.kind == self }) else {
      preconditionFailure("an optimiser is one of the list")
    }
    return found.make(momentum)
  }
}
