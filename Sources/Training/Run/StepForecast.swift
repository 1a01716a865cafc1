public import MoE

/// What the steps of a run are expected to cost, by somebody who has measured this machine.
public protocol StepForecast {
  /// The work of gate and experts, in seconds, by which the placement `auto` spreads experts.
  func load(gate: GatePlacement, ranks: Int) -> PlacementLoad

  /// - Parameter first: experts on rank 0; nil: as many as the placement `auto` puts there.
  func predict(ranks: Int, gate: GatePlacement, expertsOnFirst first: Int?) -> StepPrediction
}

extension StepForecast {
  package func predict(ranks: Int, gate: GatePlacement) -> StepPrediction {
    predict(ranks: ranks, gate: gate, expertsOnFirst: nil)
  }
}

/// Seconds per phase of one step.
public struct StepPrediction: Equatable, Sendable {
  /// In the order of ``Phase/allCases``; waiting included.
  public var first: [Double]
  /// The fullest other rank's; equal to `first` where there is none.
  public var other: [Double]
  /// Seconds of a step on rank 0, without metrics.
  public var step: Double

  public init(first: [Double], other: [Double], step: Double) {
    self.first = first
    self.other = other
    self.step = step
  }

  /// The longer of both, as the timing table's longest.
  public var longest: [Double] { zip(first, other).map { max($0, $1) } }
}
