internal import KernelInterface
internal import Numerics

/// One convolution of a network with what follows it: BatchNorm where it has one, ReLU and a 2×2 maximum pool.
public struct ConvolutionLayer: Equatable, Sendable {
  /// Output channels.
  public let filters: Int
  /// Height and width of the kernel.
  public let kernel: Int
  /// Zeros around the image.
  public let padding: Int
  /// Whether batch normalisation follows, in front of ReLU and pool.
  public let batchNorm: Bool
  /// Whether it has a bias per filter.
  public let bias: Bool

  /// One of 3×3 without padding, with a bias, unless told otherwise.
  public init(filters: Int, kernel: Int = 3, padding: Int = 0, batchNorm: Bool = false, bias: Bool = true) {
    self.filters = filters
    self.kernel = kernel
    self.padding = padding
    self.batchNorm = batchNorm
    self.bias = bias
  }
}

/// A layer at its place in a network, where the size of its input is known.
package struct StageShape: Equatable, Sendable {
  package let layer: ConvolutionLayer
  package let inputs: Int
  let inputHeight: Int
  let inputWidth: Int

  package var filters: Int { layer.filters }
  package var taps: Int { layer.kernel * layer.kernel }
  package var height: Int { inputHeight + 2 * layer.padding - layer.kernel + 1 }
  package var width: Int { inputWidth + 2 * layer.padding - layer.kernel + 1 }
  /// Positions of the convolution's output, over which BatchNorm takes its statistics.
  package var positions: Int { height * width }
  package var pooledHeight: Int { height / 2 }
  package var pooledWidth: Int { width / 2 }
  package var pooled: Int { pooledHeight * pooledWidth }
  /// Features after pooling.
  var features: Int { filters * pooled }
  /// Whether a pooled value is left; a map below 2×2 has nothing to pool.
  var fits: Bool { height >= 2 && width >= 2 }
  /// The fast kernels do 3×3.
  var isDirect: Bool { layer.kernel == 3 }

  /// FLOPs of the convolution per sample, 2 per multiply-add; the taps on padding count, as they are computed.
  package var flops: Int { 2 * taps * inputs * filters * positions }

  // MARK: Memory

  /// Tiles whose weight gradients are summed in registers: enough positions to pay for the sum over lanes.
  var groupTiles: Int { max(1, 128 / max(positions, 1)) }

  /// Channels whose gradients before pooling are held at a time; all where they also go back to the input.
  func groupChannels(inputGradient: Bool) -> Int {
    if inputGradient { return filters }
    let plane = positions * laneCount * 4 * groupTiles
    return min(filters, max(2, (512 << 10) / max(plane, 1) / 2 * 2))
  }

  var packedWeights: Int { isDirect ? 9 * inputs * filters : 0 }
  var packedInputGradientWeights: Int { packedWeights }

  /// Floats of the sums of taps that the direct kernel of the weight gradient takes.
  var tapSums: Int { isDirect ? inputs * 36 * laneCount : 0 }

  /// Floats of the output of one tile, which a kernel without fused pooling needs.
  var unpooledTile: Int {
    isDirect ? 0 : PlaneMap.floats(channels: filters, height: height, width: width, rows: laneCount)
  }

  func denseGradient(inputGradient: Bool) -> Int {
    PlaneMap.floats(
      channels: groupChannels(inputGradient: inputGradient), height: height, width: width,
      rows: groupTiles * laneCount, border: inputGradient ? 1 : 0)
  }

  /// Bytes that are taken for the time of one call, forward or backward.
  func scratchBytes(inputGradient: Bool) -> Int {
    let forward = Workspace.bytes(floats: packedWeights) + Workspace.bytes(floats: unpooledTile)
    let backward =
      Workspace.bytes(floats: inputGradient ? packedInputGradientWeights : 0)
      + Workspace.bytes(floats: denseGradient(inputGradient: inputGradient))
      + Workspace.bytes(floats: tapSums)
    return max(forward, backward)
  }
}
