/// conv 3×3 → [BatchNorm] → max pool 2×2 → ReLU.
///
/// V = side + 2·padding − 2: side after the convolution, V / 2: side after pooling (a last odd row or column is left out).
struct ReferenceStage {
  var convolutionName: String
  /// nil: no BatchNorm.
  var normName: String?
  var hasBias: Bool
  var side: Int
  var channels: Int
  var filters: Int
  var padding: Int

  static let epsilon = 1e-5
  static let momentum = 0.1

  var convolved: Int { side + 2 * padding - 2 }
  var pooled: Int { convolved / 2 }

  var shapes: [String: [Int]] {
    var shapes = ["\(convolutionName).weight": [filters, channels, 3, 3]]
    if hasBias { shapes["\(convolutionName).bias"] = [filters] }
    for tensor in ["weight", "bias", "running_mean", "running_var"] {
      if let normName { shapes["\(normName).\(tensor)"] = [filters] }
    }
    return shapes
  }

  struct Trace {
    var input: [[Double]]
    /// After the convolution, [row][filter·V² + y·V + x].
    var convolution: [[Double]]
    /// BatchNorm's output before scale and shift; empty without BatchNorm.
    var normalised: [[Double]] = []
    /// What BatchNorm normalised with, by filter.
    var mean: [Double] = []
    var variance: [Double] = []
    /// Which feature of the plane stack each pooled value came from.
    var poolingChoice: [[Int]] = []
    var output: [[Double]] = []
    /// Running statistics after this step.
    var statistics: Tensors = [:]
  }

  func forward(_ input: [[Double]], _ parameters: Tensors, training: Bool) -> Trace {
    var trace = Trace(input: input, convolution: input.map { convolve($0, parameters) })
    var planes = trace.convolution
    if let normName { planes = normalise(&trace, normName, parameters, training: training) }
    for row in planes {
      let choice = poolingChoice(row)
      trace.poolingChoice.append(choice)
      trace.output.append(choice.map { max(0, row[$0]) })
    }
    return trace
  }

  /// Adds the gradients of the stage's tensors; returns that of its input.
  ///
  /// - Parameter gradient: by the output.
  func backward(
    _ trace: Trace, _ gradient: [[Double]], _ parameters: Tensors, _ gradients: inout Tensors
  ) -> [[Double]] {
    var planes = gradient.indices.map { row in
      var plane = [Double](repeating: 0, count: filters * convolved * convolved)
      for (feature, source) in trace.poolingChoice[row].enumerated() where trace.output[row][feature] > 0 {
        plane[source] += gradient[row][feature]
      }
      return plane
    }
    if let normName { planes = normaliseBackward(trace, normName, planes, parameters, &gradients) }
    return convolveBackward(trace.input, planes, parameters, &gradients)
  }

  // MARK: Convolution

  /// Calls with (weight, output, input) for every product of the convolution of one image.
  private func products(_ body: (Int, Int, Int) -> Void) {
    for f in 0..<filters {
      for y in 0..<convolved {
        for x in 0..<convolved {
          let output = (f * convolved + y) * convolved + x
          for c in 0..<channels {
            for dy in 0..<3 where 0..<side ~= y + dy - padding {
              for dx in 0..<3 where 0..<side ~= x + dx - padding {
                body(
                  ((f * channels + c) * 3 + dy) * 3 + dx, output,
                  (c * side + y + dy - padding) * side + x + dx - padding)
              }
            }
          }
        }
      }
    }
  }

  private func convolve(_ image: [Double], _ parameters: Tensors) -> [Double] {
    let weight = parameters["\(convolutionName).weight"]!
    let bias = parameters["\(convolutionName).bias"] ?? Array(repeating: 0, count: filters)
    var planes = bias.flatMap { Array(repeating: $0, count: convolved * convolved) }
    products { planes[$1] += weight[$0] * image[$2] }
    return planes
  }

  private func convolveBackward(
    _ images: [[Double]], _ gradient: [[Double]], _ parameters: Tensors, _ gradients: inout Tensors
  ) -> [[Double]] {
    let area = convolved * convolved
    let weight = parameters["\(convolutionName).weight"]!
    var ofWeight = [Double](repeating: 0, count: weight.count)
    var ofBias = [Double](repeating: 0, count: filters)
    let ofImages = zip(images, gradient).map { image, g in
      var ofImage = [Double](repeating: 0, count: image.count)
      for i in g.indices { ofBias[i / area] += g[i] }
      products {
        ofWeight[$0] += g[$1] * image[$2]
        ofImage[$2] += g[$1] * weight[$0]
      }
      return ofImage
    }
    gradients["\(convolutionName).weight"] = ofWeight
    // BatchNorm subtracts what the bias adds: its gradient is zero, and what the sum leaves is rounding.
    if hasBias { gradients["\(convolutionName).bias"] = normName == nil ? ofBias : ofBias.map { _ in 0 } }
    return ofImages
  }

  // MARK: BatchNorm

  private func normalise(
    _ trace: inout Trace, _ name: String, _ parameters: Tensors, training: Bool
  ) -> [[Double]] {
    let area = convolved * convolved
    let scale = parameters["\(name).weight"]!
    let shift = parameters["\(name).bias"]!
    trace.mean = parameters["\(name).running_mean"]!
    trace.variance = parameters["\(name).running_var"]!
    var running = (mean: trace.mean, variance: trace.variance)
    if training && !trace.convolution.isEmpty {
      let count = Double(trace.convolution.count * area)
      for f in 0..<filters {
        let values = trace.convolution.flatMap { $0[f * area..<(f + 1) * area] }
        let mean = values.reduce(0, +) / count
        let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        trace.mean[f] = mean
        trace.variance[f] = squares / count
        running.mean[f] += Self.momentum * (mean - running.mean[f])
        running.variance[f] += Self.momentum * (squares / (count - 1) - running.variance[f])
      }
    }
    trace.statistics["\(name).running_mean"] = running.mean
    trace.statistics["\(name).running_var"] = running.variance
    trace.normalised = trace.convolution.map { row in
      row.indices.map {
        (row[$0] - trace.mean[$0 / area]) / (trace.variance[$0 / area] + Self.epsilon).squareRoot()
      }
    }
    return trace.normalised.map { row in row.indices.map { scale[$0 / area] * row[$0] + shift[$0 / area] } }
  }

  /// The gradient of training mode, in which mean and variance depend on every row.
  private func normaliseBackward(
    _ trace: Trace, _ name: String, _ gradient: [[Double]], _ parameters: Tensors, _ gradients: inout Tensors
  ) -> [[Double]] {
    let area = convolved * convolved
    let count = Double(trace.convolution.count * area)
    let scale = parameters["\(name).weight"]!
    var ofScale = [Double](repeating: 0, count: filters)
    var ofShift = [Double](repeating: 0, count: filters)
    for (g, x) in zip(gradient, trace.normalised) {
      for i in g.indices {
        ofScale[i / area] += g[i] * x[i]
        ofShift[i / area] += g[i]
      }
    }
    gradients["\(name).weight"] = ofScale
    gradients["\(name).bias"] = ofShift
    return zip(gradient, trace.normalised).map { g, x in
      g.indices.map { i in
        let f = i / area
        let centred = g[i] - ofShift[f] / count - x[i] * ofScale[f] / count
        return scale[f] / (trace.variance[f] + Self.epsilon).squareRoot() * centred
      }
    }
  }

  // MARK: Pooling

  /// The first largest value of every window, in the order of the rows, as PyTorch takes it.
  private func poolingChoice(_ planes: [Double]) -> [Int] {
    var choice: [Int] = []
    for f in 0..<filters {
      for y in 0..<pooled {
        for x in 0..<pooled {
          var best = (f * convolved + 2 * y) * convolved + 2 * x
          for candidate in [best + 1, best + convolved, best + convolved + 1]
          where planes[candidate] > planes[best] { best = candidate }
          choice.append(best)
        }
      }
    }
    return choice
  }
}
