/// What a kernel does to every element of a vector. NaN stays NaN; errors of functions are at the vector shims.
public enum UnaryFunction: CaseIterable, Sendable {
  /// eˣ; 0 where it would be subnormal.
  case exp
  /// ln x; −∞ of 0, NaN below.
  case log
  /// (eˣ − e⁻ˣ)/(eˣ + e⁻ˣ), odd to the bit.
  case tanh
  /// The error function 2/√π ∫₀ˣ e^(−t²) dt, odd to the bit.
  case erf
  /// 1/(1 + e⁻ˣ)
  case sigmoid
  /// √x, correctly rounded; NaN below 0.
  case squareRoot
  /// x·Φ(x), Φ being the distribution function of the standard normal distribution.
  case gelu
}

/// What a kernel makes of the elements of two vectors that have the same place.
public enum BinaryFunction: CaseIterable, Sendable {
  /// a + b
  case add
  /// a − b
  case subtract
  /// a·b
  case multiply
  /// a / b, correctly rounded.
  case divide
  /// The larger; NaN where one of them is NaN, b where they are equal.
  case maximum
  /// a·(Φ(b) + b·φ(b)): the gradient a behind GELU becomes the one before it, for input b.
  case geluGradient
}

/// What a kernel makes of the elements of three vectors that have the same place.
public enum TernaryFunction: CaseIterable, Sendable {
  /// a·b + c, rounded once where the level is fused.
  case multiplyAdd
  /// b where a > 0, else c.
  case select
}
