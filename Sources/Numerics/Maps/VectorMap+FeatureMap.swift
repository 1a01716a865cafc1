public import KernelInterface

/// The same functions of feature maps, [features][rows].
///
/// Maps of one call have the same features and rows. What is behind the last row of an operand does not matter; behind that
/// of a result there are zeros afterwards, so that sums over whole vectors see the rows alone. A result may be the map of an
/// operand.
extension VectorMap {
  // MARK: Functions

  /// y = eˣ, see ``exp(_:into:count:)``.
  public static func exp(_ x: FeatureMap, into y: FeatureMap) { unary(.exp, x, y) }

  /// y = ln x, see ``log(_:into:count:)``.
  public static func log(_ x: FeatureMap, into y: FeatureMap) { unary(.log, x, y) }

  /// y = tanh x, see ``tanh(_:into:count:)``.
  public static func tanh(_ x: FeatureMap, into y: FeatureMap) { unary(.tanh, x, y) }

  /// y = erf x, see ``erf(_:into:count:)``.
  public static func erf(_ x: FeatureMap, into y: FeatureMap) { unary(.erf, x, y) }

  /// y = 1/(1 + e⁻ˣ), see ``sigmoid(_:into:count:)``.
  public static func sigmoid(_ x: FeatureMap, into y: FeatureMap) { unary(.sigmoid, x, y) }

  /// y = √x, see ``squareRoot(_:into:count:)``.
  public static func squareRoot(_ x: FeatureMap, into y: FeatureMap) { unary(.squareRoot, x, y) }

  /// y = x·Φ(x), see ``gelu(_:into:count:)``.
  public static func gelu(_ x: FeatureMap, into y: FeatureMap) { unary(.gelu, x, y) }

  /// dx = dy·(Φ(x) + x·φ(x)), see ``geluGradient(_:at:into:count:)``.
  public static func geluGradient(_ dy: FeatureMap, at x: FeatureMap, into dx: FeatureMap) {
    binary(.geluGradient, dy, x, dx)
  }

  // MARK: Arithmetic

  /// y = a + b.
  public static func add(_ a: FeatureMap, _ b: FeatureMap, into y: FeatureMap) { binary(.add, a, b, y) }

  /// y = a − b.
  public static func subtract(_ a: FeatureMap, _ b: FeatureMap, into y: FeatureMap) {
    binary(.subtract, a, b, y)
  }

  /// y = a·b.
  public static func multiply(_ a: FeatureMap, _ b: FeatureMap, into y: FeatureMap) {
    binary(.multiply, a, b, y)
  }

  /// y = a/b.
  public static func divide(_ a: FeatureMap, _ b: FeatureMap, into y: FeatureMap) { binary(.divide, a, b, y) }

  /// y = max(a, b), see ``maximum(_:_:into:count:)``.
  public static func maximum(_ a: FeatureMap, _ b: FeatureMap, into y: FeatureMap) {
    binary(.maximum, a, b, y)
  }

  /// y = a·b + c, see ``multiplyAdd(_:_:_:into:count:)``.
  public static func multiplyAdd(_ a: FeatureMap, _ b: FeatureMap, _ c: FeatureMap, into y: FeatureMap) {
    ternary(.multiplyAdd, a, b, c, y)
  }

  /// y = `positive` where `gate` > 0, else `other`.
  public static func select(
    _ gate: FeatureMap, positive: FeatureMap, other: FeatureMap, into y: FeatureMap
  ) {
    ternary(.select, gate, positive, other, y)
  }

  // MARK: Rows

  /// Per row Σ x over the features, ascending from 0 in single precision.
  ///
  /// - Parameters:
  ///   - x: [features][rows]
  ///   - sums: one float per row; the map's memory is not among them.
  public static func sumOverFeatures(_ x: FeatureMap, into sums: UnsafeMutablePointer<Float>) {
    kernels.sumOverFeatures(x, into: sums)
  }

  /// Per row Σ a·b over the features, one chain of multiply-adds, ascending from 0.
  ///
  /// - Parameters:
  ///   - a: [features][rows]
  ///   - b: of the same size.
  ///   - products: one float per row; the maps' memory is not among them.
  public static func dotPerRow(
    _ a: FeatureMap, _ b: FeatureMap, into products: UnsafeMutablePointer<Float>
  ) {
    check(a, b)
    kernels.dotPerRow(a, b, into: products)
  }

  /// y = x·factor, each row by its own.
  ///
  /// - Parameters:
  ///   - x: [features][rows]
  ///   - factors: one float per row; the maps' memory is not among them.
  ///   - y: of the same size as x; may be x.
  public static func scaleRows(
    _ x: FeatureMap, by factors: UnsafePointer<Float>, into y: FeatureMap
  ) {
    check(x, y)
    kernels.scaleRows(x, by: factors, into: y)
  }

  // MARK: The kernels

  private static func unary(_ f: UnaryFunction, _ x: FeatureMap, _ y: FeatureMap) {
    check(x, y)
    for i in 0..<x.features { kernels.map(f, x[i], into: y[i], count: x.rows) }
    y.clearPadding()
  }

  private static func binary(_ f: BinaryFunction, _ a: FeatureMap, _ b: FeatureMap, _ y: FeatureMap) {
    check(a, b)
    check(a, y)
    for i in 0..<a.features { kernels.map(f, a[i], b[i], into: y[i], count: a.rows) }
    y.clearPadding()
  }

  private static func ternary(
    _ f: TernaryFunction, _ a: FeatureMap, _ b: FeatureMap, _ c: FeatureMap, _ y: FeatureMap
  ) {
    check(a, b)
    check(a, c)
    check(a, y)
    for i in 0..<a.features { kernels.map(f, a[i], b[i], c[i], into: y[i], count: a.rows) }
    y.clearPadding()
  }

  private static func check(_ a: FeatureMap, _ b: FeatureMap) {
    precondition(
      a.features == b.features && a.rows == b.rows,
      "maps of \(a.features) features x \(a.rows) rows and of \(b.features) x \(b.rows) do not fit; they must be of one size"
    )
  }
}
