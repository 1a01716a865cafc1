public import KernelInterface
public import Numerics

/// 2×2 maximum pool with stride 2; odd sizes lose their last row or column.
public struct MaxPool: Layer {
  /// It keeps the channels, halves height and width, and has no tensors.
  public init() {}

  public func output(_ input: ImageShape) -> ImageShape {
    ImageShape(channels: input.channels, height: input.height / 2, width: input.width / 2)
  }

  public func forward(_ x: [FeatureMap], into y: [FeatureMap], _ place: LayerPlace) -> LayerTrace {
    var trace = LayerTrace(x: x, y: y)
    trace.choices = zip(y, place.pieces).map { $1.bytes($0.features * $0.columns) }
    let choices = trace.choices
    place.context.team.run(x.count) { block in
      eachWindow(place.input) { feature, corners in
        let map = x[block]
        kernels.largest(
          (
            UnsafePointer(map[corners.0]), UnsafePointer(map[corners.1]), UnsafePointer(map[corners.2]),
            UnsafePointer(map[corners.3])
          ), into: y[block][feature], which: choices[block] + feature * map.columns, count: map.columns)
      }
    }
    return trace
  }

  public func backward(
    _ trace: LayerTrace, dy: [FeatureMap], into dx: [FeatureMap]?, _ place: LayerPlace,
    _ gradients: LayerGradients
  ) {
    guard let dx else { return }
    place.context.team.run(dy.count) { block in
      let map = dx[block]
      // What pooling left out has no gradient.
      if place.input.height % 2 + place.input.width % 2 > 0 { map.clear() }
      eachWindow(place.input) { feature, corners in
        kernels.spreadLargest(
          dy[block][feature], which: trace.choices[block] + feature * map.columns,
          into: (map[corners.0], map[corners.1], map[corners.2], map[corners.3]), count: map.columns)
      }
    }
  }

  /// Visits the pooled features with the four features that each is the largest of.
  private func eachWindow(_ input: ImageShape, _ visit: (Int, (Int, Int, Int, Int)) -> Void) {
    let output = output(input)
    for channel in 0..<output.channels {
      for y in 0..<output.height {
        for x in 0..<output.width {
          let first = (channel * input.height + 2 * y) * input.width + 2 * x
          visit(
            (channel * output.height + y) * output.width + x,
            (first, first + 1, first + input.width, first + input.width + 1))
        }
      }
    }
  }
}
