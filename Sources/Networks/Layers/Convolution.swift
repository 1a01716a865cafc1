public import KernelInterface
public import Numerics

/// A convolution with stride 1, as `torch.nn.Conv2d`.
///
/// The paper's networks have kernels that do pooling, BatchNorm and ReLU in the same pass (``NetworkSpec``).
public struct Convolution: Layer {
  /// Output channels.
  public let filters: Int
  /// Height and width of the kernel.
  public let kernel: Int
  /// Zeros around the image, fewer than the kernel is wide.
  public let padding: Int

  /// One of 3×3 that keeps height and width, unless told otherwise.
  public init(filters: Int, kernel: Int = 3, padding: Int = 1) {
    precondition(padding < kernel, "a convolution is padded by less than its kernel")
    self.filters = filters
    self.kernel = kernel
    self.padding = padding
  }

  public var label: String? { "conv" }
  private var taps: Int { kernel * kernel }

  public func output(_ input: ImageShape) -> ImageShape {
    ImageShape(
      channels: filters, height: input.height + 2 * padding - kernel + 1,
      width: input.width + 2 * padding - kernel + 1)
  }

  public func tensors(name: String, input: ImageShape) -> [TensorSpec] {
    let role = TensorSpec.Role.weight(fanIn: input.channels * taps)
    return [
      TensorSpec(name: "\(name).weight", shape: [filters, input.channels, kernel, kernel], role: role),
      TensorSpec(name: "\(name).bias", shape: [filters], role: role),
    ]
  }

  public func flops(_ input: ImageShape) -> Int {
    let output = output(input)
    return 2 * taps * input.channels * filters * output.height * output.width
  }

  public func forward(_ x: [FeatureMap], into y: [FeatureMap], _ place: LayerPlace) -> LayerTrace {
    let shape = output(place.input)
    let positions = shape.height * shape.width
    let (weight, bias) = (place.values("weight"), place.values("bias"))
    place.context.team.run(x.count) { block in
      let piece = place.pieces[block]
      let mark = piece.mark
      let planes = padded(x[block], place.input, by: padding, in: piece)
      let result = PlaneMap(y[block], channels: filters, height: shape.height, width: shape.width)
      convolve(planes, UnsafePointer(weight), into: result, in: piece)
      let biases = piece.floats(y[block].features)
      for feature in 0..<y[block].features { biases[feature] = bias[feature / positions] }
      kernels.addBias(biases, to: y[block])
      piece.release(to: mark)
    }
    return LayerTrace(x: x, y: y)
  }

  public func backward(
    _ trace: LayerTrace, dy: [FeatureMap], into dx: [FeatureMap]?, _ place: LayerPlace,
    _ gradients: LayerGradients
  ) {
    let shape = output(place.input)
    let count = filters * place.input.channels * taps
    let weights = place.pieces.map { $0.floats(FeatureMap.columns(rows: count)) }
    let biases = place.pieces.map { $0.floats(FeatureMap.columns(rows: filters)) }
    let weight = place.values("weight")
    place.context.team.run(dy.count) { block in
      let piece = place.pieces[block]
      let mark = piece.mark
      let border = kernel - 1 - padding
      let planes = padded(trace.x[block], place.input, by: padding, in: piece)
      let gradient = padded(dy[block], shape, by: border, in: piece)
      weights[block].update(repeating: 0, count: FeatureMap.columns(rows: count))
      biases[block].update(repeating: 0, count: FeatureMap.columns(rows: filters))
      if kernel == 3 {
        kernels.addWeightGradient(
          planes, gradient, to: weights[block],
          memory: piece.floats(place.input.channels * 36 * laneCount))
      } else {
        kernels.addPlainWeightGradient(planes, gradient, kernel: kernel, to: weights[block])
      }
      addBiases(dy[block], positions: shape.height * shape.width, to: biases[block], in: piece)
      if let dx {
        let turned = turnedWeights(weight, inputs: place.input.channels, in: piece)
        convolve(
          gradient, UnsafePointer(turned),
          into: PlaneMap(
            dx[block], channels: place.input.channels, height: place.input.height, width: place.input.width),
          in: piece)
        dx[block].clearPadding()
      }
      piece.release(to: mark)
    }
    gradients.add(weights, count: count, to: "\(place.name).weight")
    gradients.add(biases, count: filters, to: "\(place.name).bias")
  }

  /// The features as planes of their own with zeros around them.
  private func padded(_ map: FeatureMap, _ shape: ImageShape, by border: Int, in piece: Workspace) -> PlaneMap
  {
    let planes = piece.planes(
      channels: shape.channels, height: shape.height, width: shape.width, rows: map.rows, border: border)
    planes.copy(PlaneMap(map, channels: shape.channels, height: shape.height, width: shape.width))
    return planes
  }

  /// - Parameter weights: [outputs][inputs][taps].
  private func convolve(
    _ x: PlaneMap, _ weights: UnsafePointer<Float>, into y: PlaneMap, in piece: Workspace
  ) {
    guard kernel == 3 else {
      for tile in 0..<x.tiles {
        kernels.convolvePlain(x, kernel: kernel, weights: weights, into: y, tile: tile)
      }
      return
    }
    let packed = piece.floats(taps * x.channels * y.channels)
    kernels.packWeights(weights, inputs: x.channels, outputs: y.channels, into: packed)
    for tile in 0..<x.tiles { kernels.convolve(x, weights: packed, into: y, tile: tile) }
  }

  /// The weights of the convolution that takes a gradient back: inputs and outputs exchanged, taps mirrored.
  private func turnedWeights(_ weights: UnsafePointer<Float>, inputs: Int, in piece: Workspace) -> Floats {
    let turned = piece.floats(filters * inputs * taps)
    for output in 0..<filters {
      for input in 0..<inputs {
        for tap in 0..<taps {
          turned[(input * filters + output) * taps + taps - 1 - tap] =
            weights[(output * inputs + input) * taps + tap]
        }
      }
    }
    return turned
  }

  /// Sums over rows, then over positions, ascending.
  private func addBiases(_ dy: FeatureMap, positions: Int, to biases: Floats, in piece: Workspace) {
    let lines = piece.floats(dy.features)
    kernels.biasGradient(dy, into: lines)
    for feature in 0..<dy.features { biases[feature / positions] += lines[feature] }
  }
}
