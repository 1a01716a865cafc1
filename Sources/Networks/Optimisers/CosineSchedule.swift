/// Half a cosine from 1 to 0 (Loshchilov & Hutter 2017, arXiv 1608.03983, without restarts), as
/// torch.optim.lr_scheduler.CosineAnnealingLR has it: (1 + cos(π(s − 1)/L))/2 in step s of L, and 0 behind the last.
public struct CosineSchedule: Schedule {
  /// L
  public let length: Int

  /// - Parameter length: L, in steps; at least 1.
  public init(length: Int) {
    precondition(length > 0, "a cosine schedule has at least one step")
    self.length = length
  }

  public func factor(step: Int) -> Double {
    let done = step - 1
    guard done > 0 else { return 1 }
    guard done < length else { return 0 }
    // (1 + cos πx)/2 = 1 − sin²(πx/2) = sin²(π(1 − x)/2): of both the one whose sine is that of at most π/4.
    if 2 * done <= length {
      let s = sine(Double.pi / 2 * (Double(done) / Double(length)))
      return 1 - s * s
    }
    let s = sine(Double.pi / 2 * (Double(length - done) / Double(length)))
    return s * s
  }

  /// sin x for 0 ≤ x ≤ π/4: Taylor's series to x¹⁷, whose next term is below 2⁻⁵³ there; not libm's, because its last
  /// bits differ between machines.
  private func sine(_ x: Double) -> Double {
    let z = x * x
    var sum = 1.0
    for n in stride(from: 17, through: 3, by: -2) { sum = 1 - z / Double(n * (n - 1)) * sum }
    return x * sum
  }
}
