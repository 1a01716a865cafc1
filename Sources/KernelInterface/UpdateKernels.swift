/// The kernels of optimisers: loops over whole vectors of trained floats. An element's bits depend on its own numbers
/// alone, so that floats may be updated in any ranges.
public protocol UpdateKernels: SendableMetatype {
  /// Adam (Kingma & Ba 2015) with weight decay coupled to the gradient, or AdamW (Loshchilov & Hutter 2019) with a decay
  /// of its own; `count` must be a multiple of 16.
  static func adam(
    _ step: AdamStep, values: Floats, gradients: UnsafePointer<Float>, first: Floats, second: Floats,
    count: Int
  )

  /// Gradient descent with weight decay coupled to the gradient; `count` must be a multiple of 16.
  ///
  /// - Parameters:
  ///   - step: the numbers of the step.
  ///   - values: w, updated.
  ///   - gradients: g
  ///   - momentum: b of b ← μb + g; nil: none is kept, and μ has no effect.
  ///   - count: floats of each.
  static func sgd(
    _ step: SGDStep, values: Floats, gradients: UnsafePointer<Float>, momentum: Floats?, count: Int
  )

  /// Σ x² over whole vectors in double precision, where the squares are exact, in a fixed order.
  static func squareSum(_ values: UnsafePointer<Float>, count: Int) -> Double
}
