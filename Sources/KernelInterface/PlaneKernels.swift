/// The kernels of convolutions over planes, and of what lies between two of them.
public protocol PlaneKernels: SendableMetatype {
  // MARK: Convolutions over planes

  /// Weights [outputs][inputs][9] as the convolution reads them: [group][inputs][9][outputs of the group].
  static func packWeights(
    _ weights: UnsafePointer<Float>, inputs: Int, outputs: Int, into packed: Floats
  )

  /// The weights of the convolution that takes a gradient back to the input: outputs and inputs exchanged, taps mirrored.
  static func packInputGradientWeights(
    _ weights: UnsafePointer<Float>, inputs: Int, outputs: Int, into packed: Floats
  )

  /// Convolves one tile, border included: z has two rows and two columns fewer than x with its border.
  ///
  /// - Parameters:
  ///   - x: a map of its own, so that neighbours in a row of the image are neighbours in memory.
  ///   - weights: packed.
  ///   - z: the planes to write.
  ///   - tile: of x and z.
  static func convolve(_ x: PlaneMap, weights: UnsafePointer<Float>, into z: PlaneMap, tile: Int)

  /// Convolution, then per output channel · scale + shift, 2×2 maximum pool with stride 2 and ReLU, of one tile.
  ///
  /// - Parameters:
  ///   - x: a map of its own.
  ///   - weights: packed.
  ///   - scale: per output channel; 1, or that of BatchNorm by running statistics.
  ///   - shift: per output channel; a bias, or BatchNorm's.
  ///   - y: the pooled planes; odd sizes lose their last row or column.
  ///   - which: [tile][channel][y][x][16], which of its four positions gave each maximum.
  ///   - tile: of x and y.
  static func convolveAndPool(
    _ x: PlaneMap, weights: UnsafePointer<Float>, scale: UnsafePointer<Float>, shift: UnsafePointer<Float>,
    into y: PlaneMap, which: UnsafeMutablePointer<UInt8>, tile: Int
  )

  /// Convolves one tile, border included: z has kernel − 1 rows and columns fewer than x with its border.
  ///
  /// - Parameters:
  ///   - x: the planes with their border.
  ///   - kernel: its height and width.
  ///   - weights: [outputs][inputs][kernel · kernel].
  ///   - z: the planes to write.
  ///   - tile: of x and z.
  static func convolvePlain(
    _ x: PlaneMap, kernel: Int, weights: UnsafePointer<Float>, into z: PlaneMap, tile: Int
  )

  /// Adds the gradient of the weights, [outputs][inputs][kernel · kernel], over all tiles.
  ///
  /// - Parameters:
  ///   - x: the convolution's input.
  ///   - gradient: of the convolution's output, zero in lanes without a row.
  ///   - kernel: its height and width.
  ///   - weights: added to.
  static func addPlainWeightGradient(
    _ x: PlaneMap, _ gradient: PlaneMap, kernel: Int, to weights: Floats
  )

  /// Adds the gradient of the weights of a 3×3 convolution, dw[o][c][tap] += Σ g[o] · x[c at the tap], over all tiles.
  ///
  /// - Parameters:
  ///   - x: the convolution's input, a map of its own.
  ///   - gradient: of the convolution's output, zero in lanes without a row; a map of its own with as many tiles.
  ///   - weights: [outputs][x.channels][9].
  ///   - memory: x.channels · 36 · 16 floats.
  static func addWeightGradient(
    _ x: PlaneMap, _ gradient: PlaneMap, to weights: Floats, memory: Floats
  )

  // MARK: Pooling and BatchNorm over planes

  /// Σ z and Σ z² of a plane in double precision, over the lanes that are rows.
  static func planeMoments(_ z: PlaneMap, tile: Int, channel: Int) -> (sum: Double, squares: Double)

  /// z · scale + shift, 2×2 maximum pool with stride 2, ReLU.
  static func scaleAndPool(
    _ z: PlaneMap, tile: Int, channel: Int, scale: Float, shift: Float, into y: PlaneMap,
    which: UnsafeMutablePointer<UInt8>
  )

  /// The gradient before ReLU and pooling: each pooled gradient at the position that gave the maximum, zero elsewhere.
  ///
  /// - Parameters:
  ///   - gradient: of the pooled and rectified values `y`, zero in lanes without a row.
  ///   - y: the pooled and rectified values.
  ///   - tile: of both.
  ///   - channel: of both.
  ///   - which: the plane's part of what the forward pass has written.
  ///   - dense: the map that `target` is a plane of.
  ///   - target: the plane to write, with the strides of `dense`; what pooling left out (odd sizes) is set to zero.
  /// - Returns: the sum of the gradient, for the bias.
  static func spreadPooledGradient(
    _ gradient: PlaneMap, _ y: PlaneMap, tile: Int, channel: Int, which: UnsafePointer<UInt8>,
    into dense: PlaneMap, at target: Floats
  ) -> Double

  /// What BatchNorm's backward pass sums over a plane, with x̂ = z · inverse + offset: Σ g and Σ g x̂, g being the gradient
  /// behind BatchNorm, which is not zero only where pooling took its maximum.
  static func normalisedGradientSums(
    _ gradient: PlaneMap, _ y: PlaneMap, _ z: PlaneMap, tile: Int, channel: Int,
    which: UnsafePointer<UInt8>, inverse: Float, offset: Float
  ) -> (sum: Double, along: Double)

  /// The gradient before BatchNorm, dz = factor · g + slope · z + constant, zero in lanes without a row.
  ///
  /// - Parameters:
  ///   - gradient: of the pooled and rectified values `y`.
  ///   - y: the pooled and rectified values.
  ///   - z: the convolution's output.
  ///   - tile: of all three.
  ///   - channel: of all three.
  ///   - which: the plane's part of what the forward pass has written.
  ///   - factor: of g.
  ///   - slope: of z.
  ///   - constant: added.
  ///   - dense: the map that `target` is a plane of.
  ///   - target: the plane to write, with the strides of `dense`.
  static func normalisedGradient(
    _ gradient: PlaneMap, _ y: PlaneMap, _ z: PlaneMap, tile: Int, channel: Int,
    which: UnsafePointer<UInt8>, factor: Float, slope: Float, constant: Float, into dense: PlaneMap,
    at target: Floats
  )
}
