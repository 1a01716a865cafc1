import Networks
import Numerics

/// The networks' formulas in double precision, written to be read: convolutions with padding, BatchNorm, ReLU, 2×2 maximum
/// pool, dense layers. A row is an array in PyTorch's order, [channel][y][x].
struct PlainNetwork {
  typealias Tensors = [String: [Double]]

  let spec: NetworkSpec

  /// Height and width of a stack of planes.
  struct Size: Equatable {
    var channels: Int
    var height: Int
    var width: Int
    var area: Int { height * width }
  }

  struct Stage {
    var layer: ConvolutionLayer
    var input: Size
    var output: Size
    var pooled: Size

    init(_ layer: ConvolutionLayer, input: Size) {
      self.layer = layer
      self.input = input
      let lost = layer.kernel - 1 - 2 * layer.padding
      output = Size(channels: layer.filters, height: input.height - lost, width: input.width - lost)
      pooled = Size(channels: layer.filters, height: output.height / 2, width: output.width / 2)
    }
  }

  struct StageTrace {
    var inputs: [[Double]]
    var normalised: [[Double]] = []
    var mean: [Double] = []
    var variance: [Double] = []
    /// Before ReLU and pooling.
    var outputs: [[Double]] = []
    var choices: [[Int]] = []
  }

  struct Trace {
    var stages: [StageTrace] = []
    var denseInputs: [[[Double]]] = []
    var outputs: [[Double]] = []
  }

  var stages: [Stage] {
    var size = Size(channels: spec.input.channels, height: spec.input.height, width: spec.input.width)
    return spec.convolutions.map { layer in
      let stage = Stage(layer, input: size)
      size = stage.pooled
      return stage
    }
  }

  var denseNames: [String] { spec.hidden.indices.map { "fc\($0 + 1)" } + ["out"] }

  func forward(_ images: [[Double]], _ p: Tensors, training: Bool) -> Trace {
    var trace = Trace()
    var rows = images
    for (index, stage) in stages.enumerated() {
      let number = index + 1
      var found = StageTrace(inputs: rows)
      found.outputs = rows.map {
        Self.convolve(
          $0, stage, p["conv\(number).weight"]!,
          p["conv\(number).bias"] ?? Array(repeating: 0, count: stage.layer.filters))
      }
      if stage.layer.batchNorm { normalise(&found, stage, p, "bn\(number)", training: training) }
      found.choices = found.outputs.map { Self.largest($0, stage) }
      rows = zip(found.outputs, found.choices).map { row, choice in choice.map { max(row[$0], 0) } }
      trace.stages.append(found)
    }
    for (index, name) in denseNames.enumerated() {
      trace.denseInputs.append(rows)
      let weight = p["\(name).weight"]!
      let bias = p["\(name).bias"]!
      rows = rows.map { x in
        bias.indices.map { o in
          let sum = x.indices.reduce(bias[o]) { $0 + weight[o * x.count + $1] * x[$1] }
          return index < spec.hidden.count ? max(sum, 0) : sum
        }
      }
    }
    trace.outputs = rows
    return trace
  }

  func backward(_ trace: Trace, _ outputGradient: [[Double]], _ p: Tensors) -> Tensors {
    var result: Tensors = [:]
    var gradient = outputGradient
    for (index, name) in denseNames.enumerated().reversed() {
      let weight = p["\(name).weight"]!
      var ofWeight = [Double](repeating: 0, count: weight.count)
      var ofBias = [Double](repeating: 0, count: p["\(name).bias"]!.count)
      gradient = zip(trace.denseInputs[index], gradient).map { x, g in
        var below = [Double](repeating: 0, count: x.count)
        for o in g.indices {
          ofBias[o] += g[o]
          for i in x.indices {
            ofWeight[o * x.count + i] += g[o] * x[i]
            below[i] += g[o] * weight[o * x.count + i]
          }
        }
        return x.indices.map { x[$0] > 0 ? below[$0] : 0 }
      }
      result["\(name).weight"] = ofWeight
      result["\(name).bias"] = ofBias
    }
    for (index, stage) in stages.enumerated().reversed() {
      let number = index + 1
      let found = trace.stages[index]
      var spread = found.outputs.indices.map { row in
        var dense = [Double](repeating: 0, count: stage.output.channels * stage.output.area)
        for (pooled, place) in found.choices[row].enumerated() where found.outputs[row][place] > 0 {
          dense[place] = gradient[row][pooled]
        }
        return dense
      }
      if stage.layer.batchNorm {
        spread = normalisedBackward(found, stage, p, "bn\(number)", spread, into: &result)
      }
      let weight = p["conv\(number).weight"]!
      var ofWeight = [Double](repeating: 0, count: weight.count)
      var ofBias = [Double](repeating: 0, count: stage.layer.filters)
      gradient = zip(found.inputs, spread).map { x, g in
        var below = [Double](repeating: 0, count: x.count)
        Self.forEachTap(stage) { output, input, tap in
          ofWeight[tap] += g[output] * x[input]
          below[input] += g[output] * weight[tap]
        }
        for o in g.indices { ofBias[o / stage.output.area] += g[o] }
        return below
      }
      result["conv\(number).weight"] = ofWeight
      if stage.layer.bias {
        result["conv\(number).bias"] = stage.layer.batchNorm ? ofBias.map { _ in 0 } : ofBias
      }
    }
    return result
  }

  // MARK: Parts

  /// Calls the body for every product of a convolution: places in the output, the input and the weights.
  static func forEachTap(_ stage: Stage, _ body: (_ output: Int, _ input: Int, _ tap: Int) -> Void) {
    let kernel = stage.layer.kernel
    for o in 0..<stage.output.channels {
      for y in 0..<stage.output.height {
        for x in 0..<stage.output.width {
          for c in 0..<stage.input.channels {
            for r in 0..<kernel {
              for s in 0..<kernel {
                let row = y + r - stage.layer.padding
                let column = x + s - stage.layer.padding
                guard row >= 0, row < stage.input.height, column >= 0, column < stage.input.width else {
                  continue
                }
                body(
                  (o * stage.output.height + y) * stage.output.width + x,
                  (c * stage.input.height + row) * stage.input.width + column,
                  ((o * stage.input.channels + c) * kernel + r) * kernel + s)
              }
            }
          }
        }
      }
    }
  }

  static func convolve(_ x: [Double], _ stage: Stage, _ weight: [Double], _ bias: [Double]) -> [Double] {
    var result = (0..<stage.output.channels * stage.output.area).map { bias[$0 / stage.output.area] }
    forEachTap(stage) { output, input, tap in result[output] += weight[tap] * x[input] }
    return result
  }

  /// The first largest of every 2×2 window.
  static func largest(_ row: [Double], _ stage: Stage) -> [Int] {
    var result: [Int] = []
    for c in 0..<stage.output.channels {
      for y in 0..<stage.pooled.height {
        for x in 0..<stage.pooled.width {
          let first = (c * stage.output.height + 2 * y) * stage.output.width + 2 * x
          let window = [first, first + 1, first + stage.output.width, first + stage.output.width + 1]
          result.append(window.reduce(first) { row[$1] > row[$0] ? $1 : $0 })
        }
      }
    }
    return result
  }

  private func normalise(
    _ found: inout StageTrace, _ stage: Stage, _ p: Tensors, _ name: String, training: Bool
  ) {
    let area = stage.output.area
    let count = Double(found.outputs.count * area)
    let outputs = found.outputs
    found.mean = p["\(name).running_mean"]!
    found.variance = p["\(name).running_var"]!
    if training {
      for c in 0..<stage.layer.filters {
        let values = outputs.flatMap { $0[c * area..<(c + 1) * area] }
        let mean = values.reduce(0, +) / count
        found.mean[c] = mean
        found.variance[c] = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count
      }
    }
    let mean = found.mean
    let variance = found.variance
    found.normalised = outputs.map { row in
      row.indices.map { (row[$0] - mean[$0 / area]) / (variance[$0 / area] + 1e-5).squareRoot() }
    }
    let scale = p["\(name).weight"]!
    let shift = p["\(name).bias"]!
    found.outputs = found.normalised.map { row in
      row.indices.map { row[$0] * scale[$0 / area] + shift[$0 / area] }
    }
  }

  private func normalisedBackward(
    _ found: StageTrace, _ stage: Stage, _ p: Tensors, _ name: String, _ gradient: [[Double]],
    into result: inout Tensors
  ) -> [[Double]] {
    let area = stage.output.area
    let count = Double(gradient.count * area)
    var ofScale = [Double](repeating: 0, count: stage.layer.filters)
    var ofShift = ofScale
    for (g, x) in zip(gradient, found.normalised) {
      for i in g.indices {
        ofScale[i / area] += g[i] * x[i]
        ofShift[i / area] += g[i]
      }
    }
    result["\(name).weight"] = ofScale
    result["\(name).bias"] = ofShift
    let scale = p["\(name).weight"]!
    return zip(gradient, found.normalised).map { g, x in
      g.indices.map { i in
        let c = i / area
        let centred = g[i] - ofShift[c] / count - x[i] * ofScale[c] / count
        return scale[c] / (found.variance[c] + 1e-5).squareRoot() * centred
      }
    }
  }
}
