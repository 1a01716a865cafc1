import Dist
import Testing
import Training

struct TraceTests {
  @Test func aWindowIsTheStepsAfterOneNumberUpToAnother() throws {
    let window = try #require(TraceWindow("10:30"))
    #expect((0..<40).filter(window.contains) == Array(10..<30))
    #expect(TraceWindow("0:1") != nil && TraceWindow("5:1005") != nil)
  }

  @Test(arguments: ["", ":", "10", "10:", ":30", "10:10", "30:10", "-1:3", "0:1001", "1:2:3", "a:b", "1.5:3"])
  func whatIsNoWindow(text: String) { #expect(TraceWindow(text) == nil) }

  /// Host b's clock is 5 s ahead of host a's; ranks leave a meeting up to 3 µs apart, and once one comes late.
  @Test func clocksAreAlignedByTheMedian() {
    let meetings = [100.0, 101, 102, 103, 104]
    let late = [0, 1e-6, 3e-6, 2e-3, 2e-6]
    let times = [
      meetings, meetings.map { $0 + 1e-6 }, zip(meetings, late).map { $0 + 5 + $1 },
      zip(meetings, late.reversed()).map { $0 + 5 + $1 },
    ]
    let clocks = ClockAlignment(hosts: ["a", "a", "b", "b"], times: times)
    #expect(!clocks.isShared && Array(clocks.offsets[0..<2]) == [0, 0])
    #expect(clocks.offsets[2] == clocks.offsets[3])
    #expect(abs(clocks.offsets[2] + 5_000_000_000) <= 3000)
  }

  @Test func ranksOfOneHostHaveOneClock() throws {
    let clocks = try ClockAlignment(hosts: ["a"], over: LocalCommunicator())
    #expect(clocks.isShared && clocks.offsets == [0])
  }
}
