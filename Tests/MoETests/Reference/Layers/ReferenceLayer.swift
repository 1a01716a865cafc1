import Glibc
import Numerics

// The reference: every formula of the networks and of a training step in Double, written to be read and compared, not to
// be fast. It has no line in common with what it is compared with, and is itself checked by central differences and by
// PyTorch.
//
// Rows are samples; an array [[Double]] is [row][feature]. Features of an image are [channel][y][x], as PyTorch flattens
// them.

/// Values or gradients of tensors, by name.
typealias Tensors = [String: [Double]]

/// The formulas of one layer, forward and backward.
protocol ReferenceLayer: Sendable {
  /// The shape of its tensors by full name, running statistics included.
  func tensors(_ input: ImageShape) -> [String: [Int]]
  func output(_ input: ImageShape) -> ImageShape

  /// - Parameter training: BatchNorm by the statistics of these rows, which also move the running ones.
  func forward(_ x: [[Double]], _ input: ImageShape, _ tensors: Tensors, training: Bool) -> ReferenceTrace

  /// The gradient of the rows that came in, of a pass in training; that of the layer's tensors is written.
  ///
  /// - Parameter gradient: by the layer's output.
  func backward(
    _ trace: ReferenceTrace, _ gradient: [[Double]], _ input: ImageShape, _ tensors: Tensors,
    _ gradients: inout Tensors
  ) -> [[Double]]
}

extension ReferenceLayer {
  func tensors(_ input: ImageShape) -> [String: [Int]] { [:] }
  func output(_ input: ImageShape) -> ImageShape { input }
}

/// What a layer keeps of a forward pass.
struct ReferenceTrace {
  var x: [[Double]]
  var y: [[Double]]
  /// Of BatchNorm: its output before scale and shift, and by channel what it normalised with.
  var normalised: [[Double]] = []
  var mean: [Double] = []
  var variance: [Double] = []
  /// Of BatchNorm: running statistics after this step.
  var statistics: Tensors = [:]
  /// Of a maximum pool: the feature that each value came from.
  var choices: [[Int]] = []
  /// Of the layers within this one.
  var inner: [ReferenceTrace] = []
}

/// y = W·x + b.
struct ReferenceDense: ReferenceLayer {
  var name: String
  var outputs: Int

  func tensors(_ input: ImageShape) -> [String: [Int]] {
    ["\(name).weight": [outputs, input.pixels], "\(name).bias": [outputs]]
  }

  func output(_ input: ImageShape) -> ImageShape { ImageShape(channels: outputs, height: 1, width: 1) }

  func forward(_ x: [[Double]], _ input: ImageShape, _ tensors: Tensors, training: Bool) -> ReferenceTrace {
    let (weight, bias) = (tensors["\(name).weight"]!, tensors["\(name).bias"]!)
    let y = x.map { x in
      (0..<outputs).map { o in x.indices.reduce(bias[o]) { $0 + weight[o * x.count + $1] * x[$1] } }
    }
    return ReferenceTrace(x: x, y: y)
  }

  func backward(
    _ trace: ReferenceTrace, _ gradient: [[Double]], _ input: ImageShape, _ tensors: Tensors,
    _ gradients: inout Tensors
  ) -> [[Double]] {
    let weight = tensors["\(name).weight"]!
    var ofWeight = [Double](repeating: 0, count: weight.count)
    var ofBias = [Double](repeating: 0, count: outputs)
    var ofInput: [[Double]] = []
    for (x, g) in zip(trace.x, gradient) {
      var ofX = [Double](repeating: 0, count: x.count)
      for o in 0..<outputs {
        ofBias[o] += g[o]
        for i in x.indices {
          ofWeight[o * x.count + i] += g[o] * x[i]
          ofX[i] += g[o] * weight[o * x.count + i]
        }
      }
      ofInput.append(ofX)
    }
    gradients["\(name).weight"] = ofWeight
    gradients["\(name).bias"] = ofBias
    return ofInput
  }
}

/// max(0, x); the gradient at 0 is 0.
struct ReferenceReLU: ReferenceLayer {
  func forward(_ x: [[Double]], _ input: ImageShape, _ tensors: Tensors, training: Bool) -> ReferenceTrace {
    ReferenceTrace(x: x, y: x.map { $0.map { max(0, $0) } })
  }

  func backward(
    _ trace: ReferenceTrace, _ gradient: [[Double]], _ input: ImageShape, _ tensors: Tensors,
    _ gradients: inout Tensors
  ) -> [[Double]] {
    zip(trace.x, gradient).map { x, g in x.indices.map { x[$0] > 0 ? g[$0] : 0 } }
  }
}

/// x·Φ(x), Φ(x) = (1 + erf(x/√2))/2; its slope is Φ(x) + x·exp(−x²/2)/√(2π).
struct ReferenceGELU: ReferenceLayer {
  private func distribution(_ x: Double) -> Double { (1 + erf(x / 2.0.squareRoot())) / 2 }

  func forward(_ x: [[Double]], _ input: ImageShape, _ tensors: Tensors, training: Bool) -> ReferenceTrace {
    ReferenceTrace(x: x, y: x.map { $0.map { $0 * distribution($0) } })
  }

  func backward(
    _ trace: ReferenceTrace, _ gradient: [[Double]], _ input: ImageShape, _ tensors: Tensors,
    _ gradients: inout Tensors
  ) -> [[Double]] {
    zip(trace.x, gradient).map { x, g in
      zip(x, g).map { x, g in g * (distribution(x) + x * exp(-x * x / 2) / (2 * Double.pi).squareRoot()) }
    }
  }
}

/// x + f(x).
struct ReferenceResidual: ReferenceLayer {
  var inner: [any ReferenceLayer]

  func tensors(_ input: ImageShape) -> [String: [Int]] {
    ReferenceLayers(layers: inner, input: input).tensors
  }

  func forward(_ x: [[Double]], _ input: ImageShape, _ tensors: Tensors, training: Bool) -> ReferenceTrace {
    let pass = ReferenceLayers(layers: inner, input: input).forward(x, tensors, training: training)
    var trace = ReferenceTrace(x: x, y: zip(x, pass.outputs).map { zip($0, $1).map { $0 + $1 } })
    trace.inner = pass.layers
    trace.statistics = pass.statistics
    return trace
  }

  func backward(
    _ trace: ReferenceTrace, _ gradient: [[Double]], _ input: ImageShape, _ tensors: Tensors,
    _ gradients: inout Tensors
  ) -> [[Double]] {
    let through = ReferenceLayers(layers: inner, input: input).backward(
      ReferenceLayers.Pass(layers: trace.inner), gradient, tensors, &gradients)
    return zip(gradient, through).map { zip($0, $1).map { $0 + $1 } }
  }
}
