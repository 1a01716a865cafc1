// The oracle: every formula of a training step in Double, written to be read and compared, not to be fast.
//
// Rows are samples; an array [[Double]] is [row][feature]. Features of a plane stack are [filter][y][x], as PyTorch
// flattens them.

typealias Tensors = [String: [Double]]

/// Stages of convolution and pooling, then (dense → ReLU) for every hidden width, then the output layer.
struct ReferenceNetwork {
  /// What stands before the names of its tensors: `gate` or `experts.3`.
  var name: String
  var side: Int
  var channels = 1
  /// Filters of every stage.
  var filters: [Int]
  var padding = 0
  /// Numbers of the stages with BatchNorm, from 1; with several stages their convolutions have no bias.
  var batchNorm: [Int]
  var hidden: [Int]
  var outputs: Int
  /// Without an output layer: the last hidden layer's values before ReLU are the output.
  var headless = false

  /// A network of one stage.
  init(name: String, side: Int, filters: Int, batchNorm: Bool = false, hidden: [Int], outputs: Int) {
    self.init(
      name: name, side: side, channels: 1, filters: [filters], padding: 0, batchNorm: batchNorm ? [1] : [],
      hidden: hidden, outputs: outputs)
  }

  init(
    name: String, side: Int, channels: Int, filters: [Int], padding: Int, batchNorm: [Int], hidden: [Int],
    outputs: Int
  ) {
    (self.name, self.side, self.channels, self.filters) = (name, side, channels, filters)
    (self.padding, self.batchNorm, self.hidden, self.outputs) = (padding, batchNorm, hidden, outputs)
  }

  var stages: [ReferenceStage] {
    var stages: [ReferenceStage] = []
    for (index, count) in filters.enumerated() {
      let normalised = batchNorm.contains(index + 1)
      stages.append(
        ReferenceStage(
          convolutionName: "\(name).conv\(index + 1)", normName: normalised ? "\(name).bn\(index + 1)" : nil,
          hasBias: !normalised || filters.count == 1, side: stages.last?.pooled ?? side,
          channels: stages.last?.filters ?? channels, filters: count, padding: padding))
    }
    return stages
  }

  /// The dense layers' names and widths, in order.
  var denseLayers: [(name: String, inputs: Int, outputs: Int)] {
    let features = stages.last.map { $0.filters * $0.pooled * $0.pooled } ?? channels * side * side
    let widths = [features] + hidden + (headless ? [] : [outputs])
    return zip(widths, widths.dropFirst()).enumerated().map { layer, width in
      ("\(name).\(layer < hidden.count ? "fc\(layer + 1)" : "out")", width.0, width.1)
    }
  }

  /// Everything that the way back needs, and what the tests look at.
  struct Trace {
    var stages: [ReferenceStage.Trace] = []
    /// What each dense layer got, [layer][row][feature].
    var denseInputs: [[[Double]]] = []
    /// The last hidden layer before its ReLU, [row][H].
    var hidden: [[Double]] = []
    /// The output; the same as `hidden` where headless.
    var logits: [[Double]] = []
    /// Running statistics after this step.
    var statistics: Tensors = [:]
  }

  /// - Parameter training: BatchNorm by the statistics of these rows, which also move the running ones.
  func forward(_ images: [[Double]], _ parameters: Tensors, training: Bool) -> Trace {
    var trace = Trace()
    var features = images
    for stage in stages {
      let passed = stage.forward(features, parameters, training: training)
      features = passed.output
      trace.statistics.merge(passed.statistics) { own, _ in own }
      trace.stages.append(passed)
    }
    for (layer, dense) in denseLayers.enumerated() {
      trace.denseInputs.append(features)
      let weight = parameters[dense.name + ".weight"]!
      let bias = parameters[dense.name + ".bias"]!
      features = features.map { x in
        (0..<dense.outputs).map { o in
          (0..<dense.inputs).reduce(bias[o]) { $0 + weight[o * dense.inputs + $1] * x[$1] }
        }
      }
      if layer == hidden.count - 1 { trace.hidden = features }
      if layer < denseLayers.count - 1 { features = features.map { $0.map { max(0, $0) } } }
    }
    trace.logits = features
    return trace
  }

  /// The gradient of every tensor from that of the logits, and from what the hidden layer gets beside.
  ///
  /// - Parameter hiddenGradient: by ``Trace/hidden``; nil for none.
  func backward(
    _ trace: Trace, _ logitGradient: [[Double]], hidden hiddenGradient: [[Double]]? = nil,
    _ parameters: Tensors
  ) -> Tensors {
    var gradients: Tensors = [:]
    var gradient = logitGradient
    for (layer, dense) in denseLayers.enumerated().reversed() {
      if layer == hidden.count - 1, let hiddenGradient {
        gradient = zip(gradient, hiddenGradient).map { zip($0, $1).map { $0 + $1 } }
      }
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
    for (stage, passed) in zip(stages, trace.stages).reversed() {
      gradient = stage.backward(passed, gradient, parameters, &gradients)
    }
    return gradients
  }
}

extension ReferenceNetwork {
  /// Every tensor's shape by its full name, running statistics included.
  var shapes: [String: [Int]] {
    var shapes: [String: [Int]] = [:]
    for stage in stages { shapes.merge(stage.shapes) { own, _ in own } }
    for dense in denseLayers {
      shapes[dense.name + ".weight"] = [dense.outputs, dense.inputs]
      shapes[dense.name + ".bias"] = [dense.outputs]
    }
    return shapes
  }
}
