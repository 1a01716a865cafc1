/// The kernels of layers that are put together freely; the paper's networks have fused ones of their own.
///
/// Counts are multiples of sixteen: lines of a ``FeatureMap`` with their padding.
public protocol ModuleKernels: SendableMetatype {
  /// scale · x + shift, rounded once; in place where the result is x.
  static func affine(
    _ x: UnsafePointer<Float>, scale: Float, shift: Float, into result: Floats, count: Int)

  /// factor · g + slope · x + constant: a gradient before BatchNorm.
  static func affineGradient(
    _ g: UnsafePointer<Float>, _ x: UnsafePointer<Float>, factor: Float, slope: Float, constant: Float,
    into result: Floats, count: Int)

  /// The largest of four values of a place.
  ///
  /// - Parameters:
  ///   - values: the four, `count` floats each.
  ///   - result: `count` floats.
  ///   - which: per place, which of the four it was, 0 … 3, the first where several are equal.
  ///   - count: places.
  static func largest(
    _ values: (UnsafePointer<Float>, UnsafePointer<Float>, UnsafePointer<Float>, UnsafePointer<Float>),
    into result: Floats, which: UnsafeMutablePointer<UInt8>, count: Int)

  /// The adjoint of ``largest(_:into:which:count:)``: the gradient where the largest value was, zero at the other three.
  static func spreadLargest(
    _ gradient: UnsafePointer<Float>, which: UnsafePointer<UInt8>,
    into targets: (Floats, Floats, Floats, Floats),
    count: Int)

  /// Writes the rows of a map one behind the other, [rows][features].
  static func writeRows(_ map: FeatureMap, into rows: Floats)

  /// Reads sixteen rows of floats into a column of vectors of a map.
  static func readRows(_ rows: UnsafePointer<UnsafePointer<Float>>, into map: FeatureMap, column: Int)
}
