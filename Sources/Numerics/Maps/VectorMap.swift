internal import KernelInterface

/// Functions of every element of a vector, computed by the kernels of the processor level in use: what experts, gates and
/// losses of one's own are written with.
///
/// An element's bits depend on its operands alone: neither on its place nor on the count, nor on which processor with
/// fused multiply-add computes it (levels v3 and v4; v2 rounds a product and a sum each, and gives other bits for
/// everything but addition, subtraction, multiplication, division, maximum, square root, selection and sum). The exp, tanh,
/// erf … of the C library choose their variant by the processor, so a model that calls them has other bits on other
/// machines, which is what law 1 of docs/architecture.md forbids.
///
/// `count` may be any number from 0. Vectors need no alignment and no padding; nothing outside their `count` floats is read
/// or written. A result may be written over an operand, from the same first element on; vectors that overlap otherwise are
/// not allowed. NaN stays NaN, with a payload that is not promised. A subnormal number counts as the thread takes it:
/// zero on the threads that train. Errors are in units in the last place (ulp), the largest over all floats, at v3 and v4.
///
/// A call costs one jump to the level's kernel; give it whole vectors. Where values are a `FeatureMap`, the same functions
/// take one.
public enum VectorMap {
  // MARK: Functions

  /// y = eˣ. 0 where it would be subnormal, below x = −87.34; ∞ above 88.72. 1.1 ulp.
  public static func exp(_ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int) {
    unary(.exp, x, y, count)
  }

  /// y = ln x. −∞ of 0, NaN of negative numbers, ∞ of ∞. 1 ulp.
  public static func log(_ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int) {
    unary(.log, x, y, count)
  }

  /// y = tanh x; odd to the bit, ±1 from |x| = 9.1. 1.4 ulp.
  public static func tanh(_ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int) {
    unary(.tanh, x, y, count)
  }

  /// y = erf x; odd to the bit, ±1 from |x| = 3.95. 1.2 ulp.
  public static func erf(_ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int) {
    unary(.erf, x, y, count)
  }

  /// y = 1/(1 + e⁻ˣ). 0 below x = −87.34. 2.5 ulp.
  public static func sigmoid(_ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int) {
    unary(.sigmoid, x, y, count)
  }

  /// y = √x, correctly rounded. NaN of negative numbers.
  public static func squareRoot(_ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int) {
    unary(.squareRoot, x, y, count)
  }

  /// y = x·Φ(x), the exact GELU of Hendrycks & Gimpel (2016), Φ being the distribution function of the standard normal
  /// distribution. −0 below x = −13.22. 2.2 ulp from x = −1 on, 8 where it vanishes to the left.
  public static func gelu(_ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int) {
    unary(.gelu, x, y, count)
  }

  /// dx = dy·(Φ(x) + x·φ(x)): the gradient before GELU from the gradient behind it and GELU's input.
  ///
  /// The factor's error is 4.2 ulp of the larger of its two terms, which cancel at x = −0.7518; from x = −13.22 down it is 0.
  /// - Parameters:
  ///   - dy: gradient of the outputs.
  ///   - x: the inputs of ``gelu(_:into:count:)``.
  ///   - dx: gradient of the inputs, overwritten.
  ///   - count: elements.
  public static func geluGradient(
    _ dy: UnsafePointer<Float>, at x: UnsafePointer<Float>, into dx: UnsafeMutablePointer<Float>, count: Int
  ) {
    binary(.geluGradient, dy, x, dx, count)
  }

  // MARK: Arithmetic

  /// y = a + b.
  public static func add(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int
  ) {
    binary(.add, a, b, y, count)
  }

  /// y = a − b.
  public static func subtract(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int
  ) {
    binary(.subtract, a, b, y, count)
  }

  /// y = a·b.
  public static func multiply(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int
  ) {
    binary(.multiply, a, b, y, count)
  }

  /// y = a/b.
  public static func divide(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int
  ) {
    binary(.divide, a, b, y, count)
  }

  /// y = max(a, b). NaN where one of them is; b where they are equal, which tells 0 from −0.
  public static func maximum(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, count: Int
  ) {
    binary(.maximum, a, b, y, count)
  }

  /// y = a·b + c, rounded once (twice at level v2).
  public static func multiplyAdd(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ c: UnsafePointer<Float>,
    into y: UnsafeMutablePointer<Float>, count: Int
  ) {
    ternary(.multiplyAdd, a, b, c, y, count)
  }

  /// y = `positive` where `gate` > 0, else `other`; also where `gate` is NaN.
  public static func select(
    _ gate: UnsafePointer<Float>, positive: UnsafePointer<Float>, other: UnsafePointer<Float>,
    into y: UnsafeMutablePointer<Float>, count: Int
  ) {
    ternary(.select, gate, positive, other, y, count)
  }

  // MARK: Sum

  /// Σ x in double precision, in an order that depends on the count alone: element i goes to partial sum i mod 16,
  /// ascending, and halves of the sixteen are added.
  ///
  /// The sum over rows that ranks share is another matter: rows are cut into blocks that do not depend on the number of
  /// ranks, and the sums of blocks are added along a ``BlockTree``.
  public static func sum(_ x: UnsafePointer<Float>, count: Int) -> Double {
    precondition(count >= 0, "a vector has no negative number of elements")
    return kernels.sum(x, count: count)
  }

  // MARK: The kernels

  private static func unary(_ f: UnaryFunction, _ x: UnsafePointer<Float>, _ y: Floats, _ count: Int) {
    precondition(count >= 0, "a vector has no negative number of elements")
    kernels.map(f, x, into: y, count: count)
  }

  private static func binary(
    _ f: BinaryFunction, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ y: Floats, _ count: Int
  ) {
    precondition(count >= 0, "a vector has no negative number of elements")
    kernels.map(f, a, b, into: y, count: count)
  }

  private static func ternary(
    _ f: TernaryFunction, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ c: UnsafePointer<Float>,
    _ y: Floats, _ count: Int
  ) {
    precondition(count >= 0, "a vector has no negative number of elements")
    kernels.map(f, a, b, c, into: y, count: count)
  }
}
