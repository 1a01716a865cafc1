internal import KernelInterface
internal import Numerics

/// Layers one behind the other: their names, and how values and gradients pass through them.
enum LayerList {
  /// Names count per label, in the order of the layers; a label that occurs once and is `out` has no number.
  static func placements(_ layers: [any Layer], prefix: String, input: ImageShape) -> [LayerPlacement] {
    var counts: [String: Int] = [:]
    var shape = input
    return layers.map { layer in
      defer { shape = layer.output(shape) }
      var name = prefix
      if let label = layer.label {
        counts[label, default: 0] += 1
        name += label == "out" ? ".out" : ".\(label)\(counts[label, default: 1])"
      }
      return LayerPlacement(
        layer: layer, name: name, input: shape,
        inner: placements(layer.inner, prefix: name, input: shape))
    }
  }

  static func output(_ layers: [any Layer], _ input: ImageShape) -> ImageShape {
    layers.reduce(input) { $1.output($0) }
  }

  /// - Returns: a trace per layer.
  static func forward(
    _ layers: [LayerPlacement], _ x: [FeatureMap], into y: [FeatureMap], _ place: LayerPlace
  ) throws -> [LayerTrace] {
    var current = x
    var traces: [LayerTrace] = []
    for (index, placement) in layers.enumerated() {
      let shape = placement.layer.output(placement.input)
      let targets =
        index == layers.count - 1
        ? y : zip(x, place.pieces).map { $1.map(features: shape.pixels, rows: $0.rows) }
      traces.append(try placement.layer.forward(current, into: targets, place.within(placement)))
      current = targets
    }
    return traces
  }

  /// - Parameters:
  ///   - tap: what a layer's output gets beside what comes from the layers behind it.
  static func backward(
    _ layers: [LayerPlacement], _ traces: [LayerTrace], dy: [FeatureMap], into dx: [FeatureMap]?,
    _ place: LayerPlace, _ gradients: LayerGradients, tap: (layer: Int, gradients: [FeatureMap])? = nil
  ) throws {
    var current = dy
    for (index, placement) in layers.enumerated().reversed() {
      if let tap, tap.layer == index {
        for (map, more) in zip(current, tap.gradients) { kernels.add(more, to: map) }
      }
      let below =
        index == 0
        ? dx
        : zip(current, place.pieces).map { $1.map(features: placement.input.pixels, rows: $0.rows) }
      try placement.layer.backward(
        traces[index], dy: current, into: below, place.within(placement), gradients)
      current = below ?? []
    }
  }
}
