import Numerics
import Testing

/// OpenBLAS falls back to kernels for old processors where it does not know the one at hand.
struct BLASAdviceTests {
  @Test(arguments: [
    ("Prescott", ProcessorLevel.v4, "SkylakeX"), ("Nehalem", .v3, "Haswell"),
  ])
  func oldKernelsOnNewProcessorsAreNamed(kernel: String, level: ProcessorLevel, better: String) throws {
    let advice = try #require(BLAS.advice(kernel: kernel, level: level))
    #expect(advice.contains(kernel) && advice.contains("OPENBLAS_CORETYPE=\(better)"))
  }

  @Test(arguments: [("SkylakeX", ProcessorLevel.v4), ("Haswell", .v3), ("Prescott", .v2)])
  func kernelsThatFitNeedNoAdvice(kernel: String, level: ProcessorLevel) {
    #expect(BLAS.advice(kernel: kernel, level: level) == nil)
  }
}
