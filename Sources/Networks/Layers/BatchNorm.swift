public import KernelInterface
public import Numerics

/// Batch normalisation per channel (Ioffe and Szegedy 2015, arXiv 1502.03167) with PyTorch's constants: statistics of the
/// whole batch in training, running ones in evaluation.
///
/// In a trunk, whose blocks are on several ranks, its sums are collective; in an expert they are not.
public struct BatchNorm: Layer {
  /// Its size follows from the channels of what comes in.
  public init() {}

  public var label: String? { "bn" }

  public func tensors(name: String, input: ImageShape) -> [TensorSpec] {
    let shape = [input.channels]
    return [
      TensorSpec(name: "\(name).weight", shape: shape, role: .constant(1)),
      TensorSpec(name: "\(name).bias", shape: shape, role: .constant(0)),
      TensorSpec(name: "\(name).running_mean", shape: shape, role: .statistic(0)),
      TensorSpec(name: "\(name).running_var", shape: shape, role: .statistic(1)),
    ]
  }

  public func forward(_ x: [FeatureMap], into y: [FeatureMap], _ place: LayerPlace) throws -> LayerTrace {
    let channels = place.input.channels
    var trace = LayerTrace(x: x, y: y)
    let scale: [Double]
    let mean: [Double]
    switch place.mode {
    case .training:
      trace.numbers = try moments(x, place)
      let statistics = BatchStatistics(sums: trace.numbers)
      let tensors = BatchNormTensors(place)
      for channel in 0..<channels {
        tensors.update(
          place.parameters.values, channel: channel, mean: statistics.mean[channel],
          variance: statistics.variance[channel], count: statistics.count)
      }
      mean = statistics.mean
      scale = statistics.inverse
    case .evaluation:
      let (running, variance) = (place.values("running_mean"), place.values("running_var"))
      mean = (0..<channels).map { Double(running[$0]) }
      scale = (0..<channels).map { 1 / (Double(variance[$0]) + BatchNormTensors.epsilon).squareRoot() }
    }
    let (weight, bias) = (place.values("weight"), place.values("bias"))
    let factors = (0..<channels).map { Float(Double(weight[$0]) * scale[$0]) }
    let shifts = (0..<channels).map { Float(Double(bias[$0]) - Double(weight[$0]) * scale[$0] * mean[$0]) }
    place.context.team.run(x.count) { block in
      eachLine(place.input) { channel, feature in
        kernels.affine(
          x[block][feature], scale: factors[channel], shift: shifts[channel], into: y[block][feature],
          count: x[block].columns)
      }
    }
    return trace
  }

  /// ∂β = Σ g, ∂γ = Σ g x̂, dx = γ/σ (g − ∂β/n − x̂ ∂γ/n), with n values per channel in the batch.
  public func backward(
    _ trace: LayerTrace, dy: [FeatureMap], into dx: [FeatureMap]?, _ place: LayerPlace,
    _ gradients: LayerGradients
  ) throws {
    let channels = place.input.channels
    let statistics = BatchStatistics(sums: trace.numbers)
    let sums = try gradientSums(trace.x, dy, statistics, place)
    let (shift, scale) = (sums[..<channels].map { $0 }, sums[channels...].map { $0 })
    gradients.set(scale.map { Float($0) }, of: "\(place.name).weight")
    gradients.set(shift.map { Float($0) }, of: "\(place.name).bias")
    guard let dx else { return }
    let slopes = NormSlopes(weights: place.values("weight"), statistics, scale: scale, shift: shift)
    place.context.team.run(dy.count) { block in
      eachLine(place.input) { channel, feature in
        kernels.affineGradient(
          dy[block][feature], trace.x[block][feature], factor: slopes.factor[channel],
          slope: slopes.slope[channel], constant: slopes.constant[channel], into: dx[block][feature],
          count: dx[block].columns)
      }
      dx[block].clearPadding()
    }
  }

  private func eachLine(_ input: ImageShape, _ visit: (Int, Int) -> Void) {
    let positions = input.height * input.width
    for feature in 0..<input.pixels { visit(feature / positions, feature) }
  }

  /// Σ x and Σ x² of every channel over the batch, and the values per channel.
  private func moments(_ x: [FeatureMap], _ place: LayerPlace) throws -> [Double] {
    let channels = place.input.channels
    let positions = place.input.height * place.input.width
    var perBlock = [[Double]?](repeating: nil, count: x.count)
    place.context.team.fill(&perBlock) { block in
      var sums = [Double](repeating: 0, count: 2 * channels + 1)
      eachLine(place.input) { channel, feature in
        let line = x[block][feature]
        for row in 0..<x[block].rows {
          let value = Double(line[row])
          sums[channel] += value
          sums[channels + channel] += value * value
        }
      }
      sums[2 * channels] = Double(positions * x[block].rows)
      return sums
    }
    return try place.context.sums.combine(perBlock.compactMap { $0 }, length: 2 * channels + 1)
  }

  /// Σ g and Σ g x̂ of every channel over the batch.
  private func gradientSums(
    _ x: [FeatureMap], _ dy: [FeatureMap], _ statistics: BatchStatistics, _ place: LayerPlace
  ) throws -> [Double] {
    let channels = place.input.channels
    var perBlock = [[Double]?](repeating: nil, count: x.count)
    place.context.team.fill(&perBlock) { block in
      var sums = [Double](repeating: 0, count: 2 * channels)
      eachLine(place.input) { channel, feature in
        let (values, gradients) = (x[block][feature], dy[block][feature])
        for row in 0..<x[block].rows {
          let gradient = Double(gradients[row])
          sums[channel] += gradient
          sums[channels + channel] +=
            gradient * (Double(values[row]) - statistics.mean[channel]) * statistics.inverse[channel]
        }
      }
      return sums
    }
    return try place.context.sums.combine(perBlock.compactMap { $0 }, length: 2 * channels)
  }
}
