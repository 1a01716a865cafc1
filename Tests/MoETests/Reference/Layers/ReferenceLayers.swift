import Networks
import Numerics

/// Layers one behind the other.
struct ReferenceLayers {
  var layers: [any ReferenceLayer]
  /// The shape of a row that comes in.
  var input: ImageShape

  /// What the way back needs, and what tests look at.
  struct Pass {
    var layers: [ReferenceTrace]
    var outputs: [[Double]] { layers.last?.y ?? [] }
    /// Running statistics after this step.
    var statistics: Tensors {
      layers.reduce(into: [:]) { $0.merge($1.statistics) { own, _ in own } }
    }
  }

  /// What comes into every layer, and what the last one gives.
  private var shapes: [ImageShape] {
    layers.reduce(into: [input]) { $0.append($1.output($0[$0.count - 1])) }
  }

  var output: ImageShape { shapes[layers.count] }

  /// Every tensor's shape by its full name, running statistics included.
  var tensors: [String: [Int]] {
    zip(layers, shapes).reduce(into: [:]) { $0.merge($1.0.tensors($1.1)) { own, _ in own } }
  }

  /// Layers that have tensors, ascending.
  var withTensors: [Int] {
    let shapes = shapes
    return layers.indices.filter { !layers[$0].tensors(shapes[$0]).isEmpty }
  }

  func forward(_ rows: [[Double]], _ tensors: Tensors, training: Bool = true) -> Pass {
    var pass = Pass(layers: [])
    for (layer, shape) in zip(layers, shapes) {
      pass.layers.append(layer.forward(pass.layers.last?.y ?? rows, shape, tensors, training: training))
    }
    return pass
  }

  /// The gradient of the rows that came in, of a pass in training; those of all tensors are written.
  ///
  /// - Parameters:
  ///   - gradient: by the outputs.
  ///   - tap: what a layer's output gets beside what comes from the layers behind it.
  func backward(
    _ pass: Pass, _ gradient: [[Double]], tap: (layer: Int, gradient: [[Double]])? = nil, _ tensors: Tensors,
    _ gradients: inout Tensors
  ) -> [[Double]] {
    let shapes = shapes
    var gradient = gradient
    for (index, layer) in layers.enumerated().reversed() {
      if let tap, tap.layer == index {
        gradient = zip(gradient, tap.gradient).map { zip($0, $1).map { $0 + $1 } }
      }
      gradient = layer.backward(pass.layers[index], gradient, shapes[index], tensors, &gradients)
      // BatchNorm subtracts what the bias adds: its gradient is zero, and what the sum leaves is rounding.
      if let convolution = layer as? ReferenceConvolution, convolution.hasBias, index + 1 < layers.count,
        layers[index + 1] is ReferenceBatchNorm
      {
        gradients["\(convolution.name).bias"] = Array(repeating: 0, count: convolution.filters)
      }
    }
    return gradient
  }
}

// MARK: Of a module's description

extension ReferenceLayers {
  init(_ spec: SequentialSpec, prefix: String) {
    self.init(layers: Self.formulas(spec.layers, prefix: prefix), input: spec.input)
  }

  /// Names count per label, in the order of the layers; `out` has no number.
  private static func formulas(_ layers: [any Layer], prefix: String) -> [any ReferenceLayer] {
    var counts: [String: Int] = [:]
    return layers.flatMap { layer -> [any ReferenceLayer] in
      var name = prefix
      if let label = layer.label {
        counts[label, default: 0] += 1
        name += label == "out" ? ".out" : ".\(label)\(counts[label]!)"
      }
      switch layer {
      case let dense as Dense:
        let formula = ReferenceDense(name: name, outputs: dense.outputs)
        return dense.rectified ? [formula, ReferenceReLU()] : [formula]
      case let convolution as Convolution:
        return [
          ReferenceConvolution(
            name: name, filters: convolution.filters, kernel: convolution.kernel, padding: convolution.padding
          )
        ]
      case is BatchNorm: return [ReferenceBatchNorm(name: name)]
      case is MaxPool: return [ReferenceMaxPool()]
      case is ReLU: return [ReferenceReLU()]
      case is GELU: return [ReferenceGELU()]
      case let residual as Residual:
        return [ReferenceResidual(inner: formulas(residual.inner, prefix: name))]
      default: preconditionFailure("the reference does not know \(layer)")
      }
    }
  }
}
