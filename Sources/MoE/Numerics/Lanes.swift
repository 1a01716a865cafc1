internal import CLanes

/// The vectors that the kernels were compiled for.
public enum Lanes {
  /// What the compiler was allowed to use, e.g. `AVX-512`.
  public static var instructionSet: String { String(cString: lanes_instruction_set()) }
}
