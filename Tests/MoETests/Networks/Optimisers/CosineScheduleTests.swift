import Foundation
import Networks
import Testing

/// torch.optim.lr_scheduler.CosineAnnealingLR with a minimum of 0.
struct CosineScheduleTests {
  /// Within two units of the last place below 1: the C library's cosine and sum are rounded, too.
  @Test(arguments: [1, 2, 3, 7, 100, 46_875])
  func halfACosine(length: Int) {
    let schedule = CosineSchedule(length: length)
    for step in 1...length {
      let expected = (1 + cos(Double.pi * Double(step - 1) / Double(length))) / 2
      #expect(abs(schedule.factor(step: step) - expected) <= 4.5e-16)
    }
  }

  @Test func beginsAtOneAndEndsAtZero() {
    let schedule = CosineSchedule(length: 10)
    #expect(schedule.factor(step: 1) == 1)
    #expect(abs(schedule.factor(step: 6) - 0.5) < 2e-16)
    for step in [11, 12, 1000] { #expect(schedule.factor(step: step) == 0) }
  }

  /// Near the end a difference 1 − x would have lost its digits.
  @Test func theLastStepsAreExact() {
    let length = 1_000_000
    let x = Double.pi / 2 / Double(length)
    let factor = CosineSchedule(length: length).factor(step: length)
    #expect(abs(factor / (x * x) - 1) < 1e-11)
  }
}
