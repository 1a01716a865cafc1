import Foundation
import Networks
import Numerics

/// The formulas of layers in double precision, one row at a time but for BatchNorm, written to be read.
struct PlainLayers {
  let layers: [any Layer]
  let input: ImageShape
  /// By full name, as the module calls them.
  var tensors: [String: [Double]]
  let prefix: String

  /// Outputs of all rows of the batch, and the values after every layer.
  func forward(_ rows: [[Double]]) -> (outputs: [[Double]], after: [[[Double]]]) {
    run(layers, rows, input, prefix)
  }

  private func run(_ layers: [any Layer], _ rows: [[Double]], _ input: ImageShape, _ prefix: String)
    -> (outputs: [[Double]], after: [[[Double]]])
  {
    var counts: [String: Int] = [:]
    var values = rows
    var shape = input
    var after: [[[Double]]] = []
    for layer in layers {
      var name = prefix
      if let label = layer.label {
        counts[label, default: 0] += 1
        name += label == "out" ? ".out" : ".\(label)\(counts[label]!)"
      }
      values = apply(layer, values, shape, name)
      shape = layer.output(shape)
      after.append(values)
    }
    return (values, after)
  }

  private func apply(_ layer: any Layer, _ rows: [[Double]], _ shape: ImageShape, _ name: String)
    -> [[Double]]
  {
    switch layer {
    case let dense as Dense:
      let (w, b) = (tensors["\(name).weight"]!, tensors["\(name).bias"]!)
      return rows.map { x in
        (0..<dense.outputs).map { o in
          let sum = x.indices.reduce(b[o]) { $0 + w[o * x.count + $1] * x[$1] }
          return dense.rectified ? max(0, sum) : sum
        }
      }
    case is ReLU: return rows.map { $0.map { max(0, $0) } }
    case is GELU: return rows.map { $0.map { $0 * (1 + erf($0 / 2.0.squareRoot())) / 2 } }
    case let residual as Residual:
      let inner = run(residual.inner, rows, shape, name).outputs
      return zip(rows, inner).map { zip($0, $1).map { $0 + $1 } }
    case is MaxPool:
      let output = layer.output(shape)
      return rows.map { x in
        (0..<output.pixels).map { feature in
          let column = feature % output.width
          let line = feature / output.width % output.height
          let channel = feature / (output.width * output.height)
          return (0..<4).map {
            x[(channel * shape.height + 2 * line + $0 / 2) * shape.width + 2 * column + $0 % 2]
          }.max()!
        }
      }
    case let convolution as Convolution: return convolve(convolution, rows, shape, name)
    case is BatchNorm: return normalise(rows, shape, name)
    default: preconditionFailure("the reference does not know \(layer)")
    }
  }

  private func convolve(_ layer: Convolution, _ rows: [[Double]], _ shape: ImageShape, _ name: String)
    -> [[Double]]
  {
    let (w, b) = (tensors["\(name).weight"]!, tensors["\(name).bias"]!)
    let output = layer.output(shape)
    let k = layer.kernel
    return rows.map { x in
      (0..<output.pixels).map { feature in
        let column = feature % output.width
        let line = feature / output.width % output.height
        let filter = feature / (output.width * output.height)
        var sum = b[filter]
        for channel in 0..<shape.channels {
          for tap in 0..<k * k {
            let (y, z) = (line + tap / k - layer.padding, column + tap % k - layer.padding)
            guard 0..<shape.height ~= y, 0..<shape.width ~= z else { continue }
            sum +=
              w[(filter * shape.channels + channel) * k * k + tap]
              * x[(channel * shape.height + y) * shape.width + z]
          }
        }
        return sum
      }
    }
  }

  private func normalise(_ rows: [[Double]], _ shape: ImageShape, _ name: String) -> [[Double]] {
    let (scale, shift) = (tensors["\(name).weight"]!, tensors["\(name).bias"]!)
    let positions = shape.height * shape.width
    var result = rows
    for channel in 0..<shape.channels {
      let places = channel * positions..<(channel + 1) * positions
      let all = rows.flatMap { Array($0[places]) }
      let mean = all.reduce(0, +) / Double(all.count)
      let variance = all.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(all.count)
      for row in rows.indices {
        for place in places {
          result[row][place] =
            scale[channel] * (rows[row][place] - mean) / (variance + 1e-5).squareRoot() + shift[channel]
        }
      }
    }
    return result
  }
}
