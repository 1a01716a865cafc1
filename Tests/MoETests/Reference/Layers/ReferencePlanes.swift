import Numerics

extension ImageShape {
  /// Positions of a channel.
  var area: Int { height * width }
}

/// A convolution with stride 1 and zeros around the image.
struct ReferenceConvolution: ReferenceLayer {
  var name = ""
  var filters: Int
  /// Height and width of the kernel.
  var kernel = 3
  var padding = 0
  var hasBias = true

  func tensors(_ input: ImageShape) -> [String: [Int]] {
    var tensors = ["\(name).weight": [filters, input.channels, kernel, kernel]]
    if hasBias { tensors["\(name).bias"] = [filters] }
    return tensors
  }

  func output(_ input: ImageShape) -> ImageShape {
    let lost = kernel - 1 - 2 * padding
    return ImageShape(channels: filters, height: input.height - lost, width: input.width - lost)
  }

  /// Calls the body for every product of the convolution of one image: places in the output, the input and the weights.
  func forEachTap(_ input: ImageShape, _ body: (_ output: Int, _ input: Int, _ tap: Int) -> Void) {
    let output = output(input)
    for f in 0..<filters {
      for y in 0..<output.height {
        for x in 0..<output.width {
          for c in 0..<input.channels {
            for r in 0..<kernel where 0..<input.height ~= y + r - padding {
              for s in 0..<kernel where 0..<input.width ~= x + s - padding {
                body(
                  (f * output.height + y) * output.width + x,
                  (c * input.height + y + r - padding) * input.width + x + s - padding,
                  ((f * input.channels + c) * kernel + r) * kernel + s)
              }
            }
          }
        }
      }
    }
  }

  /// One image.
  func convolve(_ x: [Double], _ input: ImageShape, weight: [Double], bias: [Double]) -> [Double] {
    let area = output(input).area
    var result = bias.flatMap { Array(repeating: $0, count: area) }
    forEachTap(input) { output, input, tap in result[output] += weight[tap] * x[input] }
    return result
  }

  func forward(_ x: [[Double]], _ input: ImageShape, _ tensors: Tensors, training: Bool) -> ReferenceTrace {
    let weight = tensors["\(name).weight"]!
    let bias = hasBias ? tensors["\(name).bias"]! : Array(repeating: 0, count: filters)
    return ReferenceTrace(x: x, y: x.map { convolve($0, input, weight: weight, bias: bias) })
  }

  func backward(
    _ trace: ReferenceTrace, _ gradient: [[Double]], _ input: ImageShape, _ tensors: Tensors,
    _ gradients: inout Tensors
  ) -> [[Double]] {
    let area = output(input).area
    let weight = tensors["\(name).weight"]!
    var ofWeight = [Double](repeating: 0, count: weight.count)
    var ofBias = [Double](repeating: 0, count: filters)
    let ofInput = zip(trace.x, gradient).map { x, g in
      var ofX = [Double](repeating: 0, count: x.count)
      for i in g.indices { ofBias[i / area] += g[i] }
      forEachTap(input) { output, input, tap in
        ofWeight[tap] += g[output] * x[input]
        ofX[input] += g[output] * weight[tap]
      }
      return ofX
    }
    gradients["\(name).weight"] = ofWeight
    if hasBias { gradients["\(name).bias"] = ofBias }
    return ofInput
  }
}

/// 2×2 maximum pool with stride 2; a last odd row or column is left out.
struct ReferenceMaxPool: ReferenceLayer {
  func output(_ input: ImageShape) -> ImageShape {
    ImageShape(channels: input.channels, height: input.height / 2, width: input.width / 2)
  }

  /// The feature of the first largest value of every window, in the order of the rows, as PyTorch takes it.
  func choices(_ row: [Double], _ input: ImageShape) -> [Int] {
    let output = output(input)
    var choices: [Int] = []
    for c in 0..<output.channels {
      for y in 0..<output.height {
        for x in 0..<output.width {
          let first = (c * input.height + 2 * y) * input.width + 2 * x
          let window = [first, first + 1, first + input.width, first + input.width + 1]
          choices.append(window.reduce(first) { row[$1] > row[$0] ? $1 : $0 })
        }
      }
    }
    return choices
  }

  func forward(_ x: [[Double]], _ input: ImageShape, _ tensors: Tensors, training: Bool) -> ReferenceTrace {
    let choices = x.map { self.choices($0, input) }
    var trace = ReferenceTrace(x: x, y: zip(x, choices).map { row, choice in choice.map { row[$0] } })
    trace.choices = choices
    return trace
  }

  func backward(
    _ trace: ReferenceTrace, _ gradient: [[Double]], _ input: ImageShape, _ tensors: Tensors,
    _ gradients: inout Tensors
  ) -> [[Double]] {
    zip(trace.choices, gradient).map { choice, g in
      var ofX = [Double](repeating: 0, count: input.pixels)
      for (pooled, source) in choice.enumerated() { ofX[source] += g[pooled] }
      return ofX
    }
  }
}

/// BatchNorm per channel with PyTorch's constants: ε = 1e-5, and running statistics that move by a tenth.
struct ReferenceBatchNorm: ReferenceLayer {
  var name: String

  static let epsilon = 1e-5
  static let momentum = 0.1

  func tensors(_ input: ImageShape) -> [String: [Int]] {
    Dictionary(
      uniqueKeysWithValues: ["weight", "bias", "running_mean", "running_var"].map {
        ("\(name).\($0)", [input.channels])
      })
  }

  func forward(_ x: [[Double]], _ input: ImageShape, _ tensors: Tensors, training: Bool) -> ReferenceTrace {
    let area = input.area
    let (scale, shift) = (tensors["\(name).weight"]!, tensors["\(name).bias"]!)
    var trace = ReferenceTrace(x: x, y: [])
    trace.mean = tensors["\(name).running_mean"]!
    trace.variance = tensors["\(name).running_var"]!
    var running = (mean: trace.mean, variance: trace.variance)
    if training && !x.isEmpty {
      let count = Double(x.count * area)
      for c in 0..<input.channels {
        let values = x.flatMap { $0[c * area..<(c + 1) * area] }
        let mean = values.reduce(0, +) / count
        let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        trace.mean[c] = mean
        trace.variance[c] = squares / count
        running.mean[c] += Self.momentum * (mean - running.mean[c])
        running.variance[c] += Self.momentum * (squares / (count - 1) - running.variance[c])
      }
    }
    trace.statistics = ["\(name).running_mean": running.mean, "\(name).running_var": running.variance]
    let (mean, variance) = (trace.mean, trace.variance)
    trace.normalised = x.map { row in
      row.indices.map {
        (row[$0] - mean[$0 / area]) / (variance[$0 / area] + Self.epsilon).squareRoot()
      }
    }
    trace.y = trace.normalised.map { row in
      row.indices.map { scale[$0 / area] * row[$0] + shift[$0 / area] }
    }
    return trace
  }

  /// The gradient of training mode, in which mean and variance depend on every row.
  func backward(
    _ trace: ReferenceTrace, _ gradient: [[Double]], _ input: ImageShape, _ tensors: Tensors,
    _ gradients: inout Tensors
  ) -> [[Double]] {
    let area = input.area
    let count = Double(gradient.count * area)
    let scale = tensors["\(name).weight"]!
    var ofScale = [Double](repeating: 0, count: input.channels)
    var ofShift = ofScale
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
        let c = i / area
        let centred = g[i] - ofShift[c] / count - x[i] * ofScale[c] / count
        return scale[c] / (trace.variance[c] + Self.epsilon).squareRoot() * centred
      }
    }
  }
}
