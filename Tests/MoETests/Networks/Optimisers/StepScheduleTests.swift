import Networks
import Testing

/// torch.optim.lr_scheduler.StepLR: γ to the number of whole intervals that are over.
struct StepScheduleTests {
  @Test func aFactorAfterEveryInterval() {
    let schedule = StepSchedule(every: 3, ratio: 0.5)
    #expect((1...10).map { schedule.factor(step: $0) } == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125])
  }

  @Test func manyIntervals() {
    var expected = 1.0
    let schedule = StepSchedule(every: 1, ratio: 0.9)
    for step in 1...200 {
      #expect(abs(schedule.factor(step: step) - expected) < 1e-14 * 200 * expected)
      expected *= 0.9
    }
  }
}
