internal import COpenBLAS

/// Matrix products by OpenBLAS on one thread; the only file that names it. Networks use ``DenseProduct`` instead.
///
/// The bits of a product here depend on its shape and on the kernels that OpenBLAS chose, so every caller must take care
/// that a shape follows from the configuration and the routing alone, never from the number of ranks.
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

  /// C = A·B for rows of consecutive memory: A is [rows][depth], or [depth][rows] where it is transposed; B is
  /// [depth][columns], or [columns][depth].
  package static func product(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, transposed: (a: Bool, b: Bool) = (false, false),
    rows: Int, depth: Int, columns: Int, into c: Floats
  ) {
    cblas_sgemm(
      CblasRowMajor, transposed.a ? CblasTrans : CblasNoTrans, transposed.b ? CblasTrans : CblasNoTrans,
      Int32(rows), Int32(columns), Int32(depth), 1, a, Int32(transposed.a ? rows : depth), b,
      Int32(transposed.b ? depth : columns), 0, c, Int32(columns))
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
