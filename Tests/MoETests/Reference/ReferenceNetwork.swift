// The oracle: every formula of a training step in Double, written to be read and compared, not to be fast.
//
// Rows are samples; an array [[Double]] is [row][feature]. S: side of the square image, F: filters,
// V = S − 2: side after the convolution, P = V / 2: side after pooling (a last odd row or column is left out).
// Features of a plane stack are [filter][y][x], as PyTorch flattens them.

typealias Tensors = [String: [Double]]

/// conv 3×3 → [BatchNorm] → max pool 2×2 → ReLU → (dense → ReLU) for every hidden width → dense.
struct ReferenceNetwork {
  /// What stands before the names of its tensors: `gate` or `experts.3`.
  var name: String
  var side: Int
  var filters: Int
  var batchNorm = false
  var hidden: [Int]
  var outputs: Int

  static let epsilon = 1e-5
  static let momentum = 0.1

  var convolved: Int { side - 2 }
  var pooled: Int { convolved / 2 }

  /// The dense layers' names and widths, in order.
  var denseLayers: [(name: String, inputs: Int, outputs: Int)] {
    let widths = [filters * pooled * pooled] + hidden + [outputs]
    return (0...hidden.count).map { layer in
      let own = layer < hidden.count ? "fc\(layer + 1)" : "out"
      return ("\(name).\(own)", widths[layer], widths[layer + 1])
    }
  }

  /// Everything that the way back needs, and what the tests look at.
  struct Trace {
    var images: [[Double]]
    /// After the convolution, [row][filter·V² + y·V + x].
    var convolution: [[Double]]
    /// BatchNorm's output before scale and shift; empty without BatchNorm.
    var normalised: [[Double]] = []
    var mean: [Double] = []
    var variance: [Double] = []
    /// Which feature of the plane stack each pooled value came from.
    var poolingChoice: [[Int]] = []
    /// What each dense layer got, [layer][row][feature].
    var denseInputs: [[[Double]]] = []
    var logits: [[Double]] = []
    /// Running statistics after this step.
    var statistics: Tensors = [:]
  }

  /// - Parameter training: BatchNorm by the statistics of these rows, which also move the running ones.
  func forward(_ images: [[Double]], _ parameters: Tensors, training: Bool) -> Trace {
    var trace = Trace(images: images, convolution: images.map { convolve($0, parameters) })
    var planes = trace.convolution
    if batchNorm { planes = normalise(&trace, parameters, training: training) }

    var features: [[Double]] = []
    for row in planes {
      let choice = poolingChoice(row)
      trace.poolingChoice.append(choice)
      features.append(choice.map { max(0, row[$0]) })
    }
    for (layer, dense) in denseLayers.enumerated() {
      trace.denseInputs.append(features)
      let weight = parameters[dense.name + ".weight"]!
      let bias = parameters[dense.name + ".bias"]!
      features = features.map { x in
        (0..<dense.outputs).map { o in
          let sum = (0..<dense.inputs).reduce(bias[o]) { $0 + weight[o * dense.inputs + $1] * x[$1] }
          return layer < hidden.count ? max(0, sum) : sum
        }
      }
    }
    trace.logits = features
    return trace
  }

  /// The gradient of every tensor from that of the logits.
  func backward(_ trace: Trace, _ logitGradient: [[Double]], _ parameters: Tensors) -> Tensors {
    var gradients: Tensors = [:]
    var gradient = logitGradient
    for (layer, dense) in denseLayers.enumerated().reversed() {
      let inputs = trace.denseInputs[layer]
      let weight = parameters[dense.name + ".weight"]!
      var ofWeight = [Double](repeating: 0, count: weight.count)
      var ofBias = [Double](repeating: 0, count: dense.outputs)
      var ofInputs: [[Double]] = []
      for (x, g) in zip(inputs, gradient) {
        var ofX = [Double](repeating: 0, count: dense.inputs)
        for o in 0..<dense.outputs {
          ofBias[o] += g[o]
          for i in 0..<dense.inputs {
            ofWeight[o * dense.inputs + i] += g[o] * x[i]
            ofX[i] += g[o] * weight[o * dense.inputs + i]
          }
        }
        // Every dense layer's input comes out of a ReLU: it is positive exactly where the ReLU was open.
        for i in 0..<dense.inputs where x[i] <= 0 { ofX[i] = 0 }
        ofInputs.append(ofX)
      }
      gradients[dense.name + ".weight"] = ofWeight
      gradients[dense.name + ".bias"] = ofBias
      gradient = ofInputs
    }

    var planes = gradient.indices.map { row in
      var plane = [Double](repeating: 0, count: filters * convolved * convolved)
      for (feature, source) in trace.poolingChoice[row].enumerated() {
        plane[source] += gradient[row][feature]
      }
      return plane
    }
    if batchNorm { planes = normaliseBackward(trace, planes, parameters, &gradients) }
    convolveBackward(trace.images, planes, &gradients)
    return gradients
  }

  // MARK: Convolution

  private func convolve(_ image: [Double], _ parameters: Tensors) -> [Double] {
    let weight = parameters["\(name).conv1.weight"]!
    let bias = parameters["\(name).conv1.bias"]!
    var planes: [Double] = []
    for f in 0..<filters {
      for y in 0..<convolved {
        for x in 0..<convolved {
          var sum = bias[f]
          for dy in 0..<3 {
            for dx in 0..<3 { sum += weight[f * 9 + dy * 3 + dx] * image[(y + dy) * side + x + dx] }
          }
          planes.append(sum)
        }
      }
    }
    return planes
  }

  private func convolveBackward(_ images: [[Double]], _ gradient: [[Double]], _ gradients: inout Tensors) {
    var ofWeight = [Double](repeating: 0, count: filters * 9)
    var ofBias = [Double](repeating: 0, count: filters)
    for (image, g) in zip(images, gradient) {
      for f in 0..<filters {
        for y in 0..<convolved {
          for x in 0..<convolved {
            let value = g[(f * convolved + y) * convolved + x]
            ofBias[f] += value
            for dy in 0..<3 {
              for dx in 0..<3 { ofWeight[f * 9 + dy * 3 + dx] += value * image[(y + dy) * side + x + dx] }
            }
          }
        }
      }
    }
    gradients["\(name).conv1.weight"] = ofWeight
    // BatchNorm subtracts what the bias adds: its gradient is zero, and what the sum leaves is rounding.
    gradients["\(name).conv1.bias"] = batchNorm ? ofBias.map { _ in 0 } : ofBias
  }

  // MARK: BatchNorm

  private func normalise(_ trace: inout Trace, _ parameters: Tensors, training: Bool) -> [[Double]] {
    let area = convolved * convolved
    let scale = parameters["\(name).bn1.weight"]!
    let shift = parameters["\(name).bn1.bias"]!
    trace.mean = parameters["\(name).bn1.running_mean"]!
    trace.variance = parameters["\(name).bn1.running_var"]!
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
    trace.statistics["\(name).bn1.running_mean"] = running.mean
    trace.statistics["\(name).bn1.running_var"] = running.variance
    trace.normalised = trace.convolution.map { row in
      row.indices.map {
        (row[$0] - trace.mean[$0 / area]) / (trace.variance[$0 / area] + Self.epsilon).squareRoot()
      }
    }
    return trace.normalised.map { row in row.indices.map { scale[$0 / area] * row[$0] + shift[$0 / area] } }
  }

  /// The gradient of training mode, in which mean and variance depend on every row.
  private func normaliseBackward(
    _ trace: Trace, _ gradient: [[Double]], _ parameters: Tensors, _ gradients: inout Tensors
  ) -> [[Double]] {
    let area = convolved * convolved
    let count = Double(trace.convolution.count * area)
    let scale = parameters["\(name).bn1.weight"]!
    var ofScale = [Double](repeating: 0, count: filters)
    var ofShift = [Double](repeating: 0, count: filters)
    for (g, x) in zip(gradient, trace.normalised) {
      for i in g.indices {
        ofScale[i / area] += g[i] * x[i]
        ofShift[i / area] += g[i]
      }
    }
    gradients["\(name).bn1.weight"] = ofScale
    gradients["\(name).bn1.bias"] = ofShift
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

extension ReferenceNetwork {
  /// Every tensor's shape by its full name, running statistics included.
  var shapes: [String: [Int]] {
    var shapes = ["\(name).conv1.weight": [filters, 1, 3, 3], "\(name).conv1.bias": [filters]]
    if batchNorm {
      for tensor in ["weight", "bias", "running_mean", "running_var"] {
        shapes["\(name).bn1.\(tensor)"] = [filters]
      }
    }
    for dense in denseLayers {
      shapes[dense.name + ".weight"] = [dense.outputs, dense.inputs]
      shapes[dense.name + ".bias"] = [dense.outputs]
    }
    return shapes
  }
}
