import Networks
import Testing

struct ConstantScheduleTests {
  @Test func everyStepIsTheSame() {
    for step in [1, 2, 1000, Int(Int32.max)] { #expect(ConstantSchedule().factor(step: step) == 1) }
  }
}
