/// The kernels of one level of the processor. Everything that is computed with vectors is behind this.
///
/// Nothing but pointers and numbers crosses it: vectors by value are passed differently by every level. All levels give
/// the same bits where multiply-adds are fused; every kernel gives an element the same bits at any place.
public protocol KernelLevel: PlaneKernels, ModuleKernels, UpdateKernels {
  /// The level that the kernels were compiled for, as they themselves find: 2, 3 or 4 of x86-64, 0 elsewhere.
  static var level: Int { get }
  /// Whether a multiply-add is rounded once.
  static var isFused: Bool { get }

  // MARK: Dense layers

  /// Computes a dense product, see ``DenseWork``.
  static func denseProduct(_ work: DenseWork)

  // MARK: A convolution over one channel

  /// Convolution, bias, pooling and ReLU in one pass.
  ///
  /// - Parameters:
  ///   - tiles: the images.
  ///   - shape: of the images and of what is made of them.
  ///   - weights: [filters][9]
  ///   - bias: one per filter.
  ///   - output: [features][rows], the rectified maxima.
  ///   - which: [features][columns], which of its four positions gave each maximum.
  static func convolvePoolRectify(
    _ tiles: Tiles, _ shape: ConvolutionShape, weights: UnsafePointer<Float>, bias: UnsafePointer<Float>,
    into output: FeatureMap, which: UnsafeMutablePointer<UInt8>
  )

  /// Sums that the gradients of the convolution follow from, per filter: Σ g·x_d for the nine taps d, and Σ g.
  ///
  /// Only the position that gave each maximum takes part; a pooled value of zero was cut off by ReLU and has no gradient.
  /// - Parameters:
  ///   - tiles: the images.
  ///   - shape: of the images and of what was made of them.
  ///   - activation: [features][rows], the pooled and rectified values.
  ///   - gradient: [features][rows], of the activation; zero behind the last row.
  ///   - which: as the forward pass has written it.
  ///   - sums: [filters][10] in double precision, overwritten.
  ///   - memory: filters · 160 floats.
  static func convolutionGradientSums(
    _ tiles: Tiles, _ shape: ConvolutionShape, activation: FeatureMap, gradient: FeatureMap,
    which: UnsafePointer<UInt8>, into sums: UnsafeMutablePointer<Double>, memory: Floats
  )

  /// Adds the first and second moments of a batch's 3×3 patches to ``PatchSums/count`` sums.
  ///
  /// - Parameters:
  ///   - tiles: the images.
  ///   - shape: of the images.
  ///   - sums: added to.
  ///   - memory: ``PatchSums/memoryFloats`` floats.
  static func addPatchMoments(
    _ tiles: Tiles, _ shape: ConvolutionShape, to sums: UnsafeMutablePointer<Double>, memory: Floats
  )

  // MARK: Rows

  /// max(0, ·) of every value, in place.
  static func rectify(_ map: FeatureMap)

  /// Adds a number per feature to every row.
  static func addBias(_ bias: UnsafePointer<Float>, to map: FeatureMap)

  /// Sets values to 0 where an activation of the same place is not positive.
  static func keepWherePositive(_ activation: FeatureMap, in map: FeatureMap)

  /// Adds a map to another of the same size.
  static func add(_ source: FeatureMap, to target: FeatureMap)

  /// The gradient of a bias: the sum of its feature's gradient over the rows.
  static func biasGradient(_ gradient: FeatureMap, into bias: Floats)

  /// ln softmax over the features of every row, of the values times `scale`; in place when `result` is the same map.
  static func logSoftmax(_ map: FeatureMap, scale: Float, into result: FeatureMap)

  /// The gradient before ln softmax from the gradient after it: dz = dy − e^y · Σ dy. In place.
  static func logSoftmaxGradient(_ gradient: FeatureMap, logProbabilities: FeatureMap)

  /// p = e^(ln p) for every entry, and per row the entropy −Σ p ln p in nats.
  static func probabilities(
    of logProbabilities: FeatureMap, into result: FeatureMap, entropies: Floats
  )

  /// Adds a buffer to another, element by element.
  static func add(_ source: UnsafePointer<Float>, to target: Floats, count: Int)

  /// The sum of two buffers, element by element; the result may be one of them.
  static func add(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into sum: Floats, count: Int
  )

  // MARK: Pairs of rows

  /// Copies `lanes` rows of a tile, [pixel][16], into the columns of a map, [pixel][rows].
  static func copyTile(_ tile: Floats, pixels: Int, lanes: Int, into map: FeatureMap, column: Int)

  /// Turns a line of the Gram matrix into distances, √max(0, own + ‖x'‖² − 2g) or their squares, from a column to an end;
  /// raises `largest` to the largest of them.
  static func distancesFromGram(
    _ line: Floats, own: Float, norms: UnsafePointer<Float>, from first: Int, to end: Int, squared: Bool,
    largest: inout Float
  )

  /// Multiplies the values from a column to an end by a factor, and returns their sum in double precision.
  static func scaleAndSum(_ line: Floats, by factor: Float, from first: Int, to end: Int) -> Double

  /// Σ a·b over whole vectors.
  static func dotProduct(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, count: Int) -> Double

  /// Adds factor·source to a buffer of whole vectors.
  static func addProduct(
    _ factor: Float, _ source: UnsafePointer<Float>, to target: Floats, count: Int
  )

  /// Writes the upper triangle of a symmetric matrix, [rows][stride], below the diagonal too.
  static func mirrorUpperTriangle(_ matrix: Floats, rows: Int, stride: Int)

  /// softmax over the features of every row, of the values times `scale`.
  static func softmax(_ map: FeatureMap, scale: Float, into result: FeatureMap)

  /// The gradient before a softmax of scaled values from the gradient after it: ds = scale·p∘(dp − ⟨p, dp⟩). In place.
  static func softmaxGradient(_ gradient: FeatureMap, probabilities p: FeatureMap, scale: Float)

  // MARK: Vectors of any length

  /// y = f(x) for `count` elements. Results may take the place of an operand; reads and writes nothing else.
  static func map(_ f: UnaryFunction, _ x: UnsafePointer<Float>, into y: Floats, count: Int)

  /// y = f(a, b) for `count` elements; memory as in ``map(_:_:into:count:)``.
  static func map(
    _ f: BinaryFunction, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into y: Floats, count: Int
  )

  /// y = f(a, b, c) for `count` elements; memory as in ``map(_:_:into:count:)``.
  static func map(
    _ f: TernaryFunction, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ c: UnsafePointer<Float>,
    into y: Floats, count: Int
  )

  /// Σ x in double precision: element i goes to partial sum i mod 16, ascending; then halves of the sixteen are added.
  static func sum(_ x: UnsafePointer<Float>, count: Int) -> Double

  /// Per row the sum over the features, ascending from 0; `sums` has one float per row.
  static func sumOverFeatures(_ map: FeatureMap, into sums: Floats)

  /// Per row Σ a·b over the features: one chain of multiply-adds, ascending from 0; `products` has one float per row.
  static func dotPerRow(_ a: FeatureMap, _ b: FeatureMap, into products: Floats)

  /// Multiplies every feature of a row by the row's factor; zero behind the last row. In place when the maps are the same.
  static func scaleRows(_ map: FeatureMap, by factors: UnsafePointer<Float>, into result: FeatureMap)

  // MARK: Gates

  /// s_e = q·h_e · scale, in a fixed order of additions per row.
  static func attentionScores(
    queries: FeatureMap, answers: FeatureMap, _ layout: AnswerLayout, scale: Float, into scores: FeatureMap
  )

  /// ∂q = scale · Σ_e ∂s_e h_e, ascending e.
  static func attentionQueryGradient(
    _ gradient: FeatureMap, answers: FeatureMap, _ layout: AnswerLayout, scale: Float, into result: FeatureMap
  )

  /// ∂h_e = scale · ∂s_e q.
  static func attentionKeyGradient(
    _ gradient: FeatureMap, queries: FeatureMap, _ layout: AnswerLayout, scale: Float,
    into answers: FeatureMap
  )

  /// Σ_c y ln y · scale per answer and row.
  static func negativeEntropies(
    answers: FeatureMap, _ layout: AnswerLayout, scale: Float, into scores: FeatureMap
  )

  /// KL(known ‖ learned) per row from ln p of both, and its gradient before the learned softmax times `share`.
  static func divergence(
    known: FeatureMap, learned: FeatureMap, share: Float, gradient: FeatureMap, losses: Floats
  )

  // MARK: Mixture and loss

  /// Mixture, loss and gradients of the rows of one shard, in log space and by per-row arithmetic alone.
  ///
  /// With r_e = p_e y_e,label / m_label: ∂L/∂s_e = (p_e − r_e)/(T·B), ∂L/∂ln y_e,label = −r_e/B.
  /// - Parameters:
  ///   - rule: how experts become output and loss.
  ///   - input: the rows.
  ///   - report: [reports][rows], see ``RowReport``.
  ///   - distribution: [classes][rows], the model's probability of every class; nil where nobody asks.
  ///   - gradients: nil in evaluation.
  ///   - memory: ``MixtureRule/memoryFloats(slots:)`` floats.
  static func mixture(
    _ rule: MixtureRule, _ input: MixtureInput, report: FeatureMap, distribution: FeatureMap?,
    gradients: MixtureGradients?, memory: Floats
  )

  // MARK: Images

  /// Writes sixteen rows of bytes as one tile, byte · scale + shift per channel.
  ///
  /// - Parameters:
  ///   - rows: sixteen.
  ///   - scale: per channel.
  ///   - shift: per channel.
  ///   - channels: of an image.
  ///   - channelPixels: height · width.
  ///   - tile: [pixel][16].
  static func writeTile(
    _ rows: UnsafePointer<UnsafePointer<UInt8>>, scale: UnsafePointer<Float>, shift: UnsafePointer<Float>,
    channels: Int, channelPixels: Int, into tile: Floats
  )

  /// Writes one row of bytes as floats, with the bits that they have in a tile.
  static func writeRow(
    _ bytes: UnsafePointer<UInt8>, scale: UnsafePointer<Float>, shift: UnsafePointer<Float>, channels: Int,
    channelPixels: Int, into row: Floats
  )

  // MARK: What the processor gives

  /// Runs chains of fused multiply-adds on registers alone, as many as hide an instruction's latency.
  ///
  /// - Returns: the FLOPs that were done.
  static func multiplyAdds(rounds: Int) -> Int
}
