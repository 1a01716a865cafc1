import Records
import Testing

/// How numbers are written for people.
struct FigureTextTests {
  @Test(arguments: [
    (0.0, "0 s"), (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (61, "1 min 01 s"),
    (3_599.4, "59 min 59 s"),
    (3_700, "1 h 01 min"), (360_000, "100 h 00 min"), (.infinity, "-"), (.nan, "-"),
  ])
  func durationsAreShort(seconds: Double, text: String) {
    #expect(durationText(seconds) == text)
  }

  @Test(arguments: [
    (0.0, 2, "0.00"), (-0.004, 2, "0.00"), (-0.006, 2, "-0.01"), (1.25, 1, "1.3"), (12, 0, "12"),
    (.infinity, 1, "-"),
  ])
  func digitsAreFixed(value: Double, digits: Int, text: String) {
    #expect(fixed(value, digits) == text)
  }

  @Test(arguments: [
    (0.0, "0"), (789, "789"), (999.5, "1.00 k"), (45_600, "45.6 k"), (1_234_000_000, "1.23 G"), (0.5, "0.50"),
  ])
  func prefixesKeepThreeDigits(value: Double, text: String) {
    #expect(withPrefix(value) == text)
  }
}
