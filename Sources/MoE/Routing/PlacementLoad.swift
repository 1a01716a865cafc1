/// The work of one batch that decides where experts should live, in any one unit: FLOPs or seconds.
///
/// Experts of a run are of one size, so a placement is a number of experts beside the gate and the rest spread evenly.
public struct PlacementLoad: Equatable, Sendable {
  /// The gate's forward pass, on rank 0.
  public let gateForward: Double
  /// The gate's backward pass, on rank 0.
  public let gateBackward: Double
  /// The forward pass of one expert, on average.
  public let expertForward: Double
  /// The backward pass of one expert, on average.
  public let expertBackward: Double
  /// Whether experts run forward while rank 0 gates: where every expert takes every row.
  public let overlaps: Bool

  /// The work of the parts, all in one unit.
  public init(
    gateForward: Double, gateBackward: Double, expertForward: Double, expertBackward: Double, overlaps: Bool
  ) {
    self.gateForward = gateForward
    self.gateBackward = gateBackward
    self.expertForward = expertForward
    self.expertBackward = expertBackward
    self.overlaps = overlaps
  }

  private var gate: Double { gateForward + gateBackward }
  private var expert: Double { expertForward + expertBackward }

  /// Experts of the fullest rank beside rank 0.
  public static func fullest(_ experts: Int, beside first: Int, ranks: Int) -> Int {
    ranks == 1 ? 0 : (experts - first + ranks - 2) / (ranks - 1)
  }

  /// The batch's compute time: forward and backward part end for all ranks before the other begins.
  ///
  /// - Parameters:
  ///   - first: experts on rank 0.
  ///   - other: experts of the fullest other rank.
  public func span(first: Int, other: Int) -> Double {
    let (here, there) = (Double(first), Double(other))
    let forward =
      overlaps
      ? max(gateForward + here * expertForward, there * expertForward)
      : gateForward + max(here, there) * expertForward
    return forward + max(gateBackward + here * expertBackward, there * expertBackward)
  }

  /// How many experts should live beside the gate. Ties go to fewer, and to rank 0 where there is no gate's work.
  public func expertsOnFirst(of experts: Int, ranks: Int) -> Int {
    guard ranks > 1 else { return experts }
    // Rank 0 never gets more than an even share: it has whatever the others have, and the gate.
    let most = (experts + ranks - 1) / ranks
    var best = 0
    var bestSpan = Double.infinity
    for first in 0...most {
      let span = span(first: first, other: PlacementLoad.fullest(experts, beside: first, ranks: ranks))
      if span < bestSpan || (span == bestSpan && gate == 0) {
        best = first
        bestSpan = span
      }
    }
    return best
  }

  /// The upper bound of the speed-up over one rank: T₁ over the smallest possible largest load of a rank (Amdahl's law
  /// for a gate that stays on one rank).
  public func bound(experts: Int, ranks: Int) -> Double {
    let whole = gate + Double(experts) * expert
    guard ranks > 1, whole > 0 else { return 1 }
    let most = (experts + ranks - 1) / ranks
    let least =
      (0...most).map { first in
        max(
          gate + Double(first) * expert,
          Double(PlacementLoad.fullest(experts, beside: first, ranks: ranks)) * expert)
      }.min() ?? whole
    return whole / least
  }
}
