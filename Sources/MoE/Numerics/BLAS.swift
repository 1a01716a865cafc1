internal import COpenBLAS

/// Matrix products, by OpenBLAS on one thread; the only file that names it.
///
/// The bits of a product depend on its shape, so every caller must take care that a shape follows from the
/// configuration and the routing alone, never from the number of ranks.
public enum BLAS {
  /// The kernels that OpenBLAS chose for this CPU, e.g. `SkylakeX`; other kernels give other bits.
  public static var kernelName: String { String(cString: openblas_get_corename()) }

  /// What to do where OpenBLAS does not know the processor and falls back to kernels for old ones, several times slower;
  /// nil where it uses what the program was built for.
  public static var kernelAdvice: String? {
    advice(kernel: kernelName, instructionSet: Lanes.instructionSet)
  }

  package static func advice(kernel: String, instructionSet: String) -> String? {
    let better: String
    switch instructionSet {
    case "AVX-512": better = "SkylakeX"
    case "AVX2 and FMA": better = "Haswell"
    default: return nil
    }
    let old = [
      "Prescott", "Core2", "Penryn", "Dunnington", "Atom", "Nehalem", "Katmai", "Coppermine", "Northwood",
    ]
    guard old.contains(kernel) else { return nil }
    return
      "OpenBLAS does not know this processor and computes with its kernels for \(kernel), several times slower than "
      + "it could; set OPENBLAS_CORETYPE=\(better) on every host (and keep it: other kernels give other last bits)"
  }

  /// OpenBLAS's own description of its build.
  public static var version: String { String(cString: openblas_get_config()) }

  /// One thread per rank: ranks are the parallelism, and the bits depend on the number of threads.
  package static func useOneThread() { openblas_set_num_threads(1) }

  /// H = W·X. W is [outputs][inputs]; X and H are feature-major with the same rows.
  package static func forward(_ weights: Floats, outputs: Int, _ x: FeatureMap, into h: FeatureMap) {
    cblas_sgemm(
      CblasRowMajor, CblasNoTrans, CblasNoTrans, Int32(outputs), Int32(x.columns), Int32(x.features), 1,
      weights, Int32(x.features), x.base, Int32(x.stride), 0, h.base, Int32(h.stride))
  }

  /// dW = dH·Xᵀ, summed over the rows.
  package static func weightGradient(_ gradient: FeatureMap, _ x: FeatureMap, into weights: Floats) {
    cblas_sgemm(
      CblasRowMajor, CblasNoTrans, CblasTrans, Int32(gradient.features), Int32(x.features), Int32(x.columns),
      1, gradient.base, Int32(gradient.stride), x.base, Int32(x.stride), 0, weights, Int32(x.features))
  }

  /// dX = Wᵀ·dH.
  package static func inputGradient(_ weights: Floats, _ gradient: FeatureMap, into x: FeatureMap) {
    cblas_sgemm(
      CblasRowMajor, CblasTrans, CblasNoTrans, Int32(x.features), Int32(gradient.columns),
      Int32(gradient.features), 1, weights, Int32(x.features), gradient.base, Int32(gradient.stride), 0,
      x.base, Int32(x.stride))
  }

  /// The upper triangle of XᵀX, [rows][stride], for X of [features][rows].
  package static func gram(_ x: FeatureMap, into product: Floats, stride: Int) {
    cblas_ssyrk(
      CblasRowMajor, CblasUpper, CblasTrans, Int32(x.rows), Int32(x.features), 1, x.base, Int32(x.stride), 0,
      product, Int32(stride))
  }

  /// P·S for a symmetric S of [rows][stride] of which the upper triangle is read.
  package static func symmetricProduct(
    _ p: FeatureMap, _ s: UnsafePointer<Float>, stride: Int, into result: FeatureMap
  ) {
    cblas_ssymm(
      CblasRowMajor, CblasRight, CblasUpper, Int32(p.features), Int32(p.rows), 1, s, Int32(stride), p.base,
      Int32(p.stride), 0, result.base, Int32(result.stride))
  }
}
