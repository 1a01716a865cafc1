import Networks
import Testing

struct WarmUpTests {
  @Test func risesLinearlyToTheWholeRate() {
    let schedule = WarmUp(steps: 4, before: ConstantSchedule())
    #expect((1...6).map { schedule.factor(step: $0) } == [0.25, 0.5, 0.75, 1, 1, 1])
  }

  /// The schedule behind it keeps its own steps.
  @Test func isAFactorOfTheOther() {
    let cosine = CosineSchedule(length: 20)
    let schedule = WarmUp(steps: 5, before: cosine)
    for step in 1...25 {
      #expect(schedule.factor(step: step) == min(1, Double(step) / 5) * cosine.factor(step: step))
    }
    let steps = WarmUp(steps: 3, before: StepSchedule(every: 2, ratio: 0.5))
    #expect((1...5).map { steps.factor(step: $0) } == [1.0 / 3, 2.0 / 3, 0.5, 0.5, 0.25])
  }

  @Test(arguments: [0, 1])
  func noneIsNone(steps: Int) {
    #expect((1...3).map { WarmUp(steps: steps, before: ConstantSchedule()).factor(step: $0) } == [1, 1, 1])
  }
}
