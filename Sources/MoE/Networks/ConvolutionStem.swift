/// The first layer: convolution, BatchNorm where the network has one, pooling and ReLU.
///
/// BatchNorm is folded into the convolution's weights: with w' = γ/σ·w and b' = β − γ/σ·(w·E[x]) the normalised output is
/// w'·x + b', and the statistics follow from the patch moments of the input (``PatchMoments``).
final class ConvolutionStem {
  private static let epsilon = 1e-5
  private static let momentum = 0.1

  private let shape: ConvolutionShape
  private let batchNorm: Bool
  private let values: Floats
  private let weight: Int
  private let bias: Int
  private let scale: Int
  private let shift: Int
  private let runningMean: Int
  private let runningVariance: Int
  /// The weights and biases that the kernel uses: BatchNorm folded in.
  private var folded: [Float]
  private var foldedBias: [Float]
  /// Of the batch in training; nil without BatchNorm.
  private var moments: PatchMoments?

  init(_ spec: NetworkSpec, prefix: String, parameters: Parameters) {
    shape = spec.convolution
    batchNorm = spec.batchNorm
    values = parameters.values
    weight = parameters.offset(of: "\(prefix).conv1.weight")
    bias = parameters.offset(of: "\(prefix).conv1.bias")
    func normalisation(_ name: String) -> Int {
      spec.batchNorm ? parameters.offset(of: "\(prefix).bn1.\(name)") : 0
    }
    scale = normalisation("weight")
    shift = normalisation("bias")
    runningMean = normalisation("running_mean")
    runningVariance = normalisation("running_var")
    folded = Array(repeating: 0, count: shape.filters * 9)
    foldedBias = Array(repeating: 0, count: shape.filters)
  }

  /// Takes the batch's statistics, block by block and along the tree, and folds them into the weights.
  func prepare(_ blocks: [Tiles], mode: NetworkMode) {
    guard batchNorm else {
      for i in folded.indices { folded[i] = values[weight + i] }
      for i in foldedBias.indices { foldedBias[i] = values[bias + i] }
      return
    }
    if mode == .evaluation {
      foldRunningStatistics()
    } else if !blocks.isEmpty {
      let perBlock = blocks.map { tiles in
        var sums = [Double](repeating: 0, count: PatchMoments.sumCount)
        sums.withUnsafeMutableBufferPointer { addPatchMoments(tiles, shape, to: $0.baseAddress!) }
        return sums
      }
      let rows = blocks.reduce(0) { $0 + $1.rows }
      let moments = PatchMoments(sums: treeSum(perBlock), count: Double(rows * shape.positions))
      self.moments = moments
      foldBatchStatistics(moments)
    }
  }

  func forward(_ tiles: Tiles, into output: FeatureMap, which: UnsafeMutablePointer<UInt8>) {
    convolvePoolRectify(tiles, shape, weights: folded, bias: foldedBias, into: output, which: which)
  }

  /// The block's part of the sums that ``writeGradients(_:into:)`` needs, [filters][10].
  func backward(
    _ tiles: Tiles, activation: FeatureMap, gradient: FeatureMap, which: UnsafePointer<UInt8>
  ) -> [Double] {
    var sums = [Double](repeating: 0, count: shape.filters * 10)
    sums.withUnsafeMutableBufferPointer {
      convolutionGradientSums(
        tiles, shape, activation: activation, gradient: gradient, which: which, into: $0.baseAddress!)
    }
    return sums
  }

  /// Gradients of the layer's tensors from S_d = Σ g·x_d and s_0 = Σ g.
  ///
  /// With BatchNorm: ∂β = s_0, ∂γ = (w·S − (w·E[x]) s_0)/σ, ∂w_d = γ/σ (S_d − s_0 E[x_d] − ∂γ (Cov w)_d / σ).
  /// The convolution's bias has no effect then, so its gradient is exactly zero.
  func writeGradients(_ sums: [Double], into gradients: Floats) {
    for filter in 0..<shape.filters {
      let s = sums[filter * 10..<filter * 10 + 10]
      let first = s.startIndex
      let total = s[first + 9]
      guard batchNorm, let moments else {
        for d in 0..<9 { gradients[weight + filter * 9 + d] = Float(s[first + d]) }
        gradients[bias + filter] = Float(total)
        continue
      }
      let w = weights(filter)
      let (mean, covarianceTimesWeights, variance) = statistics(w, moments)
      let deviation = (variance + ConvolutionStem.epsilon).squareRoot()
      var along = 0.0
      for d in 0..<9 { along += w[d] * s[first + d] }
      let scaleGradient = (along - mean * total) / deviation
      let factor = Double(values[scale + filter]) / deviation
      for d in 0..<9 {
        let gradient =
          s[first + d] - total * moments.mean(d) - scaleGradient * covarianceTimesWeights[d] / deviation
        gradients[weight + filter * 9 + d] = Float(factor * gradient)
      }
      gradients[bias + filter] = 0
      gradients[scale + filter] = Float(scaleGradient)
      gradients[shift + filter] = Float(total)
    }
  }

  private func weights(_ filter: Int) -> [Double] {
    (0..<9).map { Double(values[weight + filter * 9 + $0]) }
  }

  /// w·E[x], Cov(x)·w and wᵀ Cov(x) w.
  private func statistics(_ w: [Double], _ moments: PatchMoments) -> (Double, [Double], Double) {
    var mean = 0.0
    var product = [Double](repeating: 0, count: 9)
    var variance = 0.0
    for d in 0..<9 { mean += w[d] * moments.mean(d) }
    for a in 0..<9 {
      for b in 0..<9 { product[a] += moments.covariance(a, b) * w[b] }
      variance += w[a] * product[a]
    }
    return (mean, product, max(variance, 0))
  }

  private func foldBatchStatistics(_ moments: PatchMoments) {
    for filter in 0..<shape.filters {
      let w = weights(filter)
      let (mean, _, variance) = statistics(w, moments)
      let factor = Double(values[scale + filter]) / (variance + ConvolutionStem.epsilon).squareRoot()
      fold(filter, w, factor: factor, shift: Double(values[shift + filter]) - factor * mean)
      let unbiased = variance * moments.count / max(moments.count - 1, 1)
      let full = mean + Double(values[bias + filter])
      update(runningMean + filter, towards: full)
      update(runningVariance + filter, towards: unbiased)
    }
  }

  private func foldRunningStatistics() {
    for filter in 0..<shape.filters {
      let deviation = (Double(values[runningVariance + filter]) + ConvolutionStem.epsilon).squareRoot()
      let factor = Double(values[scale + filter]) / deviation
      let centre = Double(values[bias + filter]) - Double(values[runningMean + filter])
      fold(filter, weights(filter), factor: factor, shift: Double(values[shift + filter]) + factor * centre)
    }
  }

  private func fold(_ filter: Int, _ w: [Double], factor: Double, shift: Double) {
    for d in 0..<9 { folded[filter * 9 + d] = Float(factor * w[d]) }
    foldedBias[filter] = Float(shift)
  }

  private func update(_ place: Int, towards value: Double) {
    values[place] = Float(
      (1 - ConvolutionStem.momentum) * Double(values[place]) + ConvolutionStem.momentum * value)
  }
}
