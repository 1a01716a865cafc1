package import KernelInterface
package import Numerics

/// The first layer: convolution, BatchNorm where the network has one, pooling and ReLU.
///
/// BatchNorm is folded into the convolution's weights: with w' = γ/σ·w and b' = β − γ/σ·(w·E[x]) the normalised output is
/// w'·x + b', and the statistics follow from the patch moments of the input (``PatchMoments``).
package final class ConvolutionStem {
  private let shape: ConvolutionShape
  private let team: ThreadTeam
  private let norm: BatchNormTensors?
  private let values: Floats
  private let weight: Int
  private let bias: Int
  /// The weights and biases that the kernel uses: BatchNorm folded in.
  private var folded: [Float]
  private var foldedBias: [Float]
  /// Of the batch in training; nil without BatchNorm.
  private var moments: PatchMoments?

  package init(_ spec: NetworkSpec, prefix: String, parameters: Parameters, team: ThreadTeam) {
    self.team = team
    let layer = spec.convolutions[0]
    shape = ConvolutionShape(height: spec.input.height, width: spec.input.width, filters: layer.filters)
    values = parameters.values
    weight = parameters.offset(of: "\(prefix).conv1.weight")
    bias = parameters.offset(of: "\(prefix).conv1.bias")
    norm = layer.batchNorm ? BatchNormTensors("\(prefix).bn1", parameters: parameters) : nil
    folded = Array(repeating: 0, count: shape.filters * 9)
    foldedBias = Array(repeating: 0, count: shape.filters)
  }

  /// Floats of ``backward(_:activation:gradient:which:)``'s sums.
  var sumCount: Int { shape.filters * 10 }

  /// Takes the batch's statistics, block by block and along the tree, and folds them into the weights.
  package func prepare(_ blocks: [Tiles], mode: NetworkMode, _ sums: any BlockSums) throws {
    guard let norm else {
      for i in folded.indices { folded[i] = values[weight + i] }
      for i in foldedBias.indices { foldedBias[i] = values[bias + i] }
      return
    }
    if mode == .evaluation {
      foldRunningStatistics(norm)
    } else {
      // The number of values is one of the sums; small integers are exact.
      var perBlock = [[Double]?](repeating: nil, count: blocks.count)
      team.fill(&perBlock) { block in
        let tiles = blocks[block]
        var sums = [Double](repeating: 0, count: PatchSums.count + 1)
        withLanes(PatchSums.memoryFloats / laneCount) { memory in
          sums.withUnsafeMutableBufferPointer {
            kernels.addPatchMoments(tiles, shape, to: $0.baseAddress!, memory: memory)
          }
        }
        sums[PatchSums.count] = Double(tiles.rows * shape.positions)
        return sums
      }
      let total = try sums.combine(perBlock.compactMap { $0 }, length: PatchSums.count + 1)
      let moments = PatchMoments(sums: total, count: total[PatchSums.count])
      self.moments = moments
      foldBatchStatistics(norm, moments)
    }
  }

  package func forward(_ tiles: Tiles, into output: FeatureMap, which: UnsafeMutablePointer<UInt8>) {
    kernels.convolvePoolRectify(tiles, shape, weights: folded, bias: foldedBias, into: output, which: which)
  }

  /// The block's part of the sums that ``writeGradients(_:into:)`` needs, [filters][10].
  package func backward(
    _ tiles: Tiles, activation: FeatureMap, gradient: FeatureMap, which: UnsafePointer<UInt8>
  ) -> [Double] {
    var sums = [Double](repeating: 0, count: sumCount)
    withLanes(sumCount) { memory in
      sums.withUnsafeMutableBufferPointer {
        kernels.convolutionGradientSums(
          tiles, shape, activation: activation, gradient: gradient, which: which, into: $0.baseAddress!,
          memory: memory)
      }
    }
    return sums
  }

  /// Gradients of the layer's tensors from S_d = Σ g·x_d and s_0 = Σ g.
  ///
  /// With BatchNorm: ∂β = s_0, ∂γ = (w·S − (w·E[x]) s_0)/σ, ∂w_d = γ/σ (S_d − s_0 E[x_d] − ∂γ (Cov w)_d / σ).
  /// The convolution's bias has no effect then, so its gradient is exactly zero.
  package func writeGradients(_ sums: [Double], into gradients: Floats) {
    for filter in 0..<shape.filters {
      let s = sums[filter * 10..<filter * 10 + 10]
      let first = s.startIndex
      let total = s[first + 9]
      guard let norm, let moments else {
        for d in 0..<9 { gradients[weight + filter * 9 + d] = Float(s[first + d]) }
        gradients[bias + filter] = Float(total)
        continue
      }
      let w = weights(filter)
      let (mean, covarianceTimesWeights, variance) = statistics(w, moments)
      let deviation = (variance + BatchNormTensors.epsilon).squareRoot()
      var along = 0.0
      for d in 0..<9 { along += w[d] * s[first + d] }
      let scaleGradient = (along - mean * total) / deviation
      let factor = Double(values[norm.scale + filter]) / deviation
      for d in 0..<9 {
        let gradient =
          s[first + d] - total * moments.mean(d) - scaleGradient * covarianceTimesWeights[d] / deviation
        gradients[weight + filter * 9 + d] = Float(factor * gradient)
      }
      gradients[bias + filter] = 0
      gradients[norm.scale + filter] = Float(scaleGradient)
      gradients[norm.shift + filter] = Float(total)
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

  private func foldBatchStatistics(_ norm: BatchNormTensors, _ moments: PatchMoments) {
    for filter in 0..<shape.filters {
      let w = weights(filter)
      let (mean, _, variance) = statistics(w, moments)
      let factor = Double(values[norm.scale + filter]) / (variance + BatchNormTensors.epsilon).squareRoot()
      fold(filter, w, factor: factor, shift: Double(values[norm.shift + filter]) - factor * mean)
      norm.update(
        values, channel: filter, mean: mean + Double(values[bias + filter]), variance: variance,
        count: moments.count)
    }
  }

  private func foldRunningStatistics(_ norm: BatchNormTensors) {
    for filter in 0..<shape.filters {
      let deviation = (Double(values[norm.runningVariance + filter]) + BatchNormTensors.epsilon).squareRoot()
      let factor = Double(values[norm.scale + filter]) / deviation
      let centre = Double(values[bias + filter]) - Double(values[norm.runningMean + filter])
      fold(
        filter, weights(filter), factor: factor, shift: Double(values[norm.shift + filter]) + factor * centre)
    }
  }

  private func fold(_ filter: Int, _ w: [Double], factor: Double, shift: Double) {
    for d in 0..<9 { folded[filter * 9 + d] = Float(factor * w[d]) }
    foldedBias[filter] = Float(shift)
  }
}
