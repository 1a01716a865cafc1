internal import COpenBLAS
package import KernelInterface

/// Matrix products by OpenBLAS on one thread; the only file that names it. Networks use ``DenseProducts``.
///
/// The bits of a product here depend on its shape and on the kernels that OpenBLAS chose, so every caller must take care
/// that a shape follows from the configuration and the routing alone, never from the number of ranks.
public enum BLAS {
  /// The kernels that OpenBLAS chose for this CPU, e.g. `SkylakeX`; other kernels give other bits.
  public static var kernelName: String { String(cString: openblas_get_corename()) }

  /// What to do where OpenBLAS does not know the processor and falls back to kernels for old ones, several times slower;
  /// nil where it uses what the processor has.
  public static var kernelAdvice: String? {
    ProcessorLevel.available.flatMap { advice(kernel: kernelName, level: $0) }
  }

  package static func advice(kernel: String, level: ProcessorLevel) -> String? {
    let better: String
    switch level {
    case .v4: better = "SkylakeX"
    case .v3: better = "Haswell"
    case .v2, .base: return nil
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

  /// C = A·B: A is [rows][depth], or [depth][rows] where it is transposed; B is [depth][columns], or [columns][depth];
  /// strides are from one line in memory to the next.
  package static func product(
    _ a: UnsafePointer<Float>, stride aStride: Int, _ b: UnsafePointer<Float>, stride bStride: Int,
    transposed: (a: Bool, b: Bool) = (false, false), rows: Int, depth: Int, columns: Int, into c: Floats,
    stride: Int
  ) {
    cblas_sgemm(
      CblasRowMajor, transposed.a ? CblasTrans : CblasNoTrans, transposed.b ? CblasTrans : CblasNoTrans,
      Int32(rows), Int32(columns), Int32(depth), 1, a, Int32(aStride), b, Int32(bStride), 0, c,
      Int32(stride))
  }
}
