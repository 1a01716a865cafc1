import MoE
import Testing

/// OpenBLAS falls back to kernels for old processors where it does not know the one at hand.
struct BLASAdviceTests {
  @Test(arguments: [
    ("Prescott", "AVX-512", "SkylakeX"), ("Nehalem", "AVX2 and FMA", "Haswell"),
  ])
  func oldKernelsOnNewProcessorsAreNamed(kernel: String, instructions: String, better: String) throws {
    let advice = try #require(BLAS.advice(kernel: kernel, instructionSet: instructions))
    #expect(advice.contains(kernel) && advice.contains("OPENBLAS_CORETYPE=\(better)"))
  }

  @Test(arguments: [("SkylakeX", "AVX-512"), ("Haswell", "AVX2 and FMA"), ("Prescott", "baseline x86-64")])
  func kernelsThatFitNeedNoAdvice(kernel: String, instructions: String) {
    #expect(BLAS.advice(kernel: kernel, instructionSet: instructions) == nil)
  }
}
