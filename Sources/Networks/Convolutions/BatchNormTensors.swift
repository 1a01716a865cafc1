internal import KernelInterface

/// The tensors of a BatchNorm layer in a network's parameters, and PyTorch's constants for it.
struct BatchNormTensors {
  static let epsilon = 1e-5
  private static let momentum = 0.1

  let scale: Int
  let shift: Int
  let runningMean: Int
  let runningVariance: Int

  /// - Parameter name: the layer's full name, e.g. `gate.bn2`.
  init(_ name: String, parameters: Parameters) {
    scale = parameters.offset(of: "\(name).weight")
    shift = parameters.offset(of: "\(name).bias")
    runningMean = parameters.offset(of: "\(name).running_mean")
    runningVariance = parameters.offset(of: "\(name).running_var")
  }

  init(_ place: LayerPlace) { self.init(place.name, parameters: place.parameters) }

  /// Moves one channel's running statistics towards those of a batch of `count` values.
  func update(_ values: Floats, channel: Int, mean: Double, variance: Double, count: Double) {
    func move(_ place: Int, towards value: Double) {
      values[place] = Float(
        (1 - BatchNormTensors.momentum) * Double(values[place]) + BatchNormTensors.momentum * value)
    }
    move(runningMean + channel, towards: mean)
    move(runningVariance + channel, towards: variance * count / max(count - 1, 1))
  }
}

/// Mean and biased variance of every channel over rows and positions of a whole batch.
struct BatchStatistics {
  let count: Double
  let mean: [Double]
  /// 1/√(variance + ε)
  let inverse: [Double]
  let variance: [Double]

  /// - Parameter sums: Σ z of every channel, Σ z² of every channel, the number of values per channel.
  init(sums: [Double]) {
    let channels = sums.count / 2
    let count = sums[2 * channels]
    let mean = (0..<channels).map { sums[$0] / count }
    let variance = (0..<channels).map { max(sums[channels + $0] / count - mean[$0] * mean[$0], 0) }
    self.count = count
    self.mean = mean
    self.variance = variance
    inverse = variance.map { 1 / ($0 + BatchNormTensors.epsilon).squareRoot() }
  }
}

/// The backward pass of BatchNorm per channel, dx = γ/σ (g − ∂β/n − x̂ ∂γ/n) (Ioffe and Szegedy 2015, arXiv 1502.03167,
/// section 3), in terms of its input x: dx = factor · g + slope · x + constant.
struct NormSlopes {
  let factor: [Float]
  let slope: [Float]
  let constant: [Float]

  /// - Parameters:
  ///   - weights: γ
  ///   - scale, shift: ∂γ and ∂β over the whole batch.
  init(weights: UnsafePointer<Float>, _ statistics: BatchStatistics, scale: [Double], shift: [Double]) {
    let factor = statistics.inverse.enumerated().map { Double(weights[$0]) * $1 }
    let slope = factor.indices.map { -factor[$0] * scale[$0] / statistics.count * statistics.inverse[$0] }
    let constant = factor.indices.map {
      -factor[$0] * shift[$0] / statistics.count - slope[$0] * statistics.mean[$0]
    }
    self.factor = factor.map { Float($0) }
    self.slope = slope.map { Float($0) }
    self.constant = constant.map { Float($0) }
  }
}

/// What a channel is multiplied by and shifted by between convolution and pooling.
struct ChannelScales {
  var scale: [Float]
  var shift: [Float]
}
