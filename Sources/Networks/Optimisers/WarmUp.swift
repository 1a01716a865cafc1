/// A linear rise in front of another schedule (Goyal et al. 2017, arXiv 1706.02677): the other's factor times s/W in the
/// first W steps. The other counts its steps from the beginning, so that its epochs stay those of the run.
public struct WarmUp: Schedule {
  /// W; 0: none.
  public let steps: Int
  /// What it stands in front of.
  public let schedule: any Schedule

  /// - Parameters:
  ///   - steps: W; 0: none.
  ///   - schedule: the one whose factors rise.
  public init(steps: Int, before schedule: any Schedule) {
    self.steps = steps
    self.schedule = schedule
  }

  public func factor(step: Int) -> Double {
    let factor = schedule.factor(step: step)
    return step < steps ? Double(step) / Double(steps) * factor : factor
  }
}
