internal import KernelInterface
internal import Numerics

extension ConvolutionStage {
  /// The gradients of BatchNorm's scale and shift over the whole batch.
  struct NormGradients {
    let scale: [Double]
    let shift: [Double]
  }

  /// Writes every block's gradients of weights and bias, and passes the gradient on to the stage below.
  ///
  /// - Parameters:
  ///   - statistics: the batch's, of the forward pass; nil without BatchNorm.
  ///   - gradients: per block, of the pooled output; zero in lanes without a row.
  ///   - targets: per block, where the network's gradients lie.
  ///   - inputGradients: per block, the gradient of the stage's input; nil for the first stage.
  /// - Returns: BatchNorm's gradients; they are those of the whole batch, so no block's targets hold them.
  func backward(
    _ passes: [Pass], _ statistics: BatchStatistics?, gradients: [PlaneMap], into targets: [Floats],
    inputGradients: [PlaneMap]?, _ sums: any BlockSums, in pieces: [Workspace]
  ) throws -> NormGradients? {
    var norm: (gradients: NormGradients, slopes: NormSlopes)?
    if let tensors = self.norm, let statistics {
      norm = try normGradients(passes, gradients, tensors, statistics, sums)
    }
    precondition(
      inputGradients == nil || (shape.isDirect && shape.layer.padding == 1),
      "gradients go back through padded 3×3 convolutions")
    let slopes = norm?.slopes
    team.run(passes.count) { block in
      let mark = pieces[block].mark
      backward(
        passes[block], gradients[block], slopes, into: targets[block], inputGradients?[block],
        in: pieces[block])
      pieces[block].release(to: mark)
    }
    return norm?.gradients
  }

  /// A block's part of it.
  private func backward(
    _ pass: Pass, _ gradient: PlaneMap, _ slopes: NormSlopes?, into target: Floats,
    _ inputGradient: PlaneMap?, in workspace: Workspace
  ) {
    var packed: Floats?
    if inputGradient != nil {
      let weights = workspace.floats(shape.packedInputGradientWeights)
      kernels.packInputGradientWeights(
        values + weight, inputs: shape.inputs, outputs: shape.filters, into: weights)
      packed = weights
    }
    let scratch = workspace.floats(shape.denseGradient(inputGradient: packed != nil))
    let tapSums = workspace.floats(shape.tapSums)
    let channels = shape.groupChannels(inputGradient: packed != nil)
    func dense(rows: Int, channels: Int) -> PlaneMap {
      PlaneMap(
        base: scratch, channels: channels, height: shape.height, width: shape.width, rows: rows,
        border: packed == nil ? 0 : 1)
    }
    dense(rows: shape.groupTiles * laneCount, channels: channels).clearBorder()
    let weights = target + weight
    weights.update(repeating: 0, count: shape.filters * shape.inputs * shape.taps)
    var biasSums = [Double](repeating: 0, count: shape.filters)
    for first in stride(from: 0, to: pass.input.tiles, by: shape.groupTiles) {
      let group = first..<min(first + shape.groupTiles, pass.input.tiles)
      let input = pass.input.slice(tiles: group)
      for firstChannel in stride(from: 0, to: shape.filters, by: channels) {
        let range = firstChannel..<min(firstChannel + channels, shape.filters)
        let map = dense(rows: input.rows, channels: range.count)
        for tile in group {
          spread(
            pass, gradient, tile: tile, channels: range, slopes, into: map, tile - first, sums: &biasSums)
        }
        addWeights(input, map, to: weights + firstChannel * shape.inputs * shape.taps, tapSums)
        if let packed, let inputGradient {
          let below = inputGradient.slice(tiles: group)
          for tile in 0..<map.tiles { kernels.convolve(map, weights: packed, into: below, tile: tile) }
        }
      }
    }
    if let bias {
      // A bias before BatchNorm has no effect, so its gradient is exactly zero.
      for filter in 0..<shape.filters {
        target[bias + filter] = slopes == nil ? Float(biasSums[filter]) : 0
      }
    }
  }

  private func addWeights(_ input: PlaneMap, _ gradient: PlaneMap, to target: Floats, _ sums: Floats) {
    if shape.isDirect {
      kernels.addWeightGradient(input, gradient, to: target, memory: sums)
    } else {
      kernels.addPlainWeightGradient(input, gradient, kernel: shape.layer.kernel, to: target)
    }
  }

  /// The gradient before pooling and BatchNorm of some channels of a tile.
  private func spread(
    _ pass: Pass, _ gradient: PlaneMap, tile: Int, channels: Range<Int>, _ slopes: NormSlopes?,
    into dense: PlaneMap, _ denseTile: Int, sums: inout [Double]
  ) {
    for channel in channels {
      let which = choices(pass, tile) + channel * shape.pooled * laneCount
      let target = dense[denseTile, channel - channels.lowerBound]
      if let slopes, let z = pass.unpooled {
        kernels.normalisedGradient(
          gradient, pass.output, z, tile: tile, channel: channel, which: which,
          factor: slopes.factor[channel], slope: slopes.slope[channel], constant: slopes.constant[channel],
          into: dense, at: target)
      } else {
        sums[channel] += kernels.spreadPooledGradient(
          gradient, pass.output, tile: tile, channel: channel, which: which, into: dense, at: target)
      }
    }
  }

  /// ∂β = Σ g and ∂γ = Σ g x̂ over all blocks, and what the gradient before BatchNorm follows from.
  private func normGradients(
    _ passes: [Pass], _ gradients: [PlaneMap], _ norm: BatchNormTensors, _ statistics: BatchStatistics,
    _ blockSums: any BlockSums
  ) throws -> (gradients: NormGradients, slopes: NormSlopes) {
    let filters = shape.filters
    var perBlock = [[Double]?](repeating: nil, count: passes.count)
    team.fill(&perBlock) { block in
      let (pass, gradient) = (passes[block], gradients[block])
      var sums = [Double](repeating: 0, count: 2 * filters)
      guard let z = pass.unpooled else { return sums }
      for tile in 0..<z.tiles {
        for channel in 0..<filters {
          let (sum, along) = kernels.normalisedGradientSums(
            gradient, pass.output, z, tile: tile, channel: channel,
            which: choices(pass, tile) + channel * shape.pooled * laneCount,
            inverse: Float(statistics.inverse[channel]),
            offset: Float(-statistics.mean[channel] * statistics.inverse[channel]))
          sums[channel] += sum
          sums[filters + channel] += along
        }
      }
      return sums
    }
    let total = try blockSums.combine(perBlock.compactMap { $0 }, length: 2 * filters)
    let gradients = NormGradients(scale: Array(total[filters...]), shift: Array(total[..<filters]))
    return (
      gradients,
      NormSlopes(
        weights: values + norm.scale, statistics, scale: gradients.scale, shift: gradients.shift)
    )
  }
}
