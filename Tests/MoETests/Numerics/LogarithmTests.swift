import Numerics
import Testing

#if canImport(Glibc)
  import Glibc
#endif

/// The logarithm of the metrics against libm's, which may differ in the last places.
struct LogarithmTests {
  @Test func agreesWithLibm() {
    var values = KernelTests.Values(state: 31)
    for _ in 0..<20_000 {
      let x = exp2(Double(values.next()) * 40) * (1 + abs(Double(values.next())))
      let expected = log2(x)
      #expect(abs(logarithm2(x) - expected) <= 2 * expected.ulp, "\(x)")
    }
    // Close to 1 the result is small, and must be as exact.
    for k in 1...52 {
      for x in [1 + exp2(Double(-k)), 1 - exp2(Double(-k))] {
        #expect(abs(logarithm2(x) - log2(x)) <= 2 * log2(x).ulp, "\(x)")
      }
    }
  }

  @Test func powersOfTwoAreExact() {
    for k in -1022...1023 { #expect(logarithm2(exp2(Double(k))) == Double(k)) }
  }

  @Test func edges() {
    #expect(logarithm2(0) == -.infinity)
    #expect(logarithm2(.infinity) == .infinity)
    #expect(logarithm2(-1).isNaN && logarithm2(.nan).isNaN)
  }
}
