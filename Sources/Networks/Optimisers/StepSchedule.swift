internal import KernelInterface

/// A factor after every so many steps, as torch.optim.lr_scheduler.StepLR has it: γ^⌊(s − 1)/n⌋ in step s.
public struct StepSchedule: Schedule {
  /// n
  public let every: Int
  /// γ
  public let ratio: Double

  /// - Parameters:
  ///   - every: n, in steps; at least 1.
  ///   - ratio: γ
  public init(every: Int, ratio: Double) {
    precondition(every > 0, "a step schedule changes after at least one step")
    self.every = every
    self.ratio = ratio
  }

  public func factor(step: Int) -> Double { power(ratio, (step - 1) / every) }
}
