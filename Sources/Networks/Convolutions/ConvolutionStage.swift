internal import KernelInterface
internal import Numerics

/// One convolution of a stack with its BatchNorm, pooling and ReLU: forward and backward over all blocks of a batch.
package struct ConvolutionStage {
  let shape: StageShape
  let values: Floats
  let weight: Int
  let bias: Int?
  let norm: BatchNormTensors?
  let team: ThreadTeam

  /// - Parameter number: 1 for the first, as in `conv1` and `bn1`.
  init(_ shape: StageShape, number: Int, prefix: String, parameters: Parameters, team: ThreadTeam) {
    self.shape = shape
    self.team = team
    values = parameters.values
    weight = parameters.offset(of: "\(prefix).conv\(number).weight")
    bias = shape.layer.bias ? parameters.offset(of: "\(prefix).conv\(number).bias") : nil
    norm = shape.layer.batchNorm ? BatchNormTensors("\(prefix).bn\(number)", parameters: parameters) : nil
  }

  /// What the backward pass needs of one block's forward pass.
  package struct Pass {
    let input: PlaneMap
    /// Pooled and rectified.
    let output: PlaneMap
    /// [tile][filter][y][x][16]
    let which: UnsafeMutablePointer<UInt8>
    /// The convolution's output without its bias, where BatchNorm takes statistics of it.
    let unpooled: PlaneMap?
  }

  /// Runs the stage over all blocks; BatchNorm's statistics are those of all of them in training.
  func forward(
    _ inputs: [PlaneMap], into outputs: [PlaneMap], mode: NetworkMode, _ sums: any BlockSums,
    in pieces: [Workspace]
  ) throws -> (passes: [Pass], statistics: BatchStatistics?) {
    let training = mode == .training && norm != nil
    let passes = inputs.indices.map { block in
      Pass(
        input: inputs[block], output: outputs[block],
        which: pieces[block].bytes(FeatureMap.columns(rows: inputs[block].rows) * shape.features),
        unpooled: training ? unpooledMap(rows: inputs[block].rows, in: pieces[block]) : nil)
    }
    guard training, let norm else {
      let scales = fixedScales()
      team.run(passes.count) { block in
        let mark = pieces[block].mark
        convolveAndPool(passes[block], packedWeights(in: pieces[block]), scales, in: pieces[block])
        pieces[block].release(to: mark)
      }
      return (passes, nil)
    }
    var counts = [[Double]?](repeating: nil, count: passes.count)
    team.fill(&counts) { block in
      let mark = pieces[block].mark
      defer { pieces[block].release(to: mark) }
      return convolveAndCount(passes[block], packedWeights(in: pieces[block]))
    }
    let statistics = BatchStatistics(
      sums: try sums.combine(counts.compactMap { $0 }, length: 2 * shape.filters + 1))
    update(norm, statistics)
    let scales = batchScales(norm, statistics)
    team.run(passes.count) { block in
      let pass = passes[block]
      guard let z = pass.unpooled else { return }
      for tile in 0..<z.tiles { pool(z, tile: tile, scales, into: pass.output, choices(pass, tile)) }
    }
    return (passes, statistics)
  }

  /// The weights as the direct convolution reads them, or as they are.
  private func packedWeights(in workspace: Workspace) -> UnsafePointer<Float> {
    guard shape.isDirect else { return UnsafePointer(values + weight) }
    let packed = workspace.floats(shape.packedWeights)
    kernels.packWeights(values + weight, inputs: shape.inputs, outputs: shape.filters, into: packed)
    return UnsafePointer(packed)
  }

  /// A tile's part of the choices.
  func choices(_ pass: Pass, _ tile: Int) -> UnsafeMutablePointer<UInt8> {
    pass.which + tile * shape.features * laneCount
  }

  private func unpooledMap(rows: Int, in workspace: Workspace) -> PlaneMap {
    let floats = PlaneMap.floats(
      channels: shape.filters, height: shape.height, width: shape.width, rows: rows)
    return PlaneMap(
      base: workspace.floats(floats), channels: shape.filters, height: shape.height, width: shape.width,
      rows: rows)
  }

  /// Without statistics of the batch, pooling follows while the outputs are in registers or one tile's memory.
  private func convolveAndPool(
    _ pass: Pass, _ weights: UnsafePointer<Float>, _ scales: ChannelScales, in workspace: Workspace
  ) {
    if shape.isDirect {
      for tile in 0..<pass.input.tiles {
        kernels.convolveAndPool(
          pass.input, weights: weights, scale: scales.scale, shift: scales.shift, into: pass.output,
          which: pass.which, tile: tile)
      }
      return
    }
    let mark = workspace.mark
    let z = unpooledMap(rows: laneCount, in: workspace)
    for tile in 0..<pass.input.tiles {
      kernels.convolvePlain(
        pass.input.slice(tiles: tile..<tile + 1), kernel: shape.layer.kernel, weights: weights, into: z,
        tile: 0)
      let output = pass.output.slice(tiles: tile..<tile + 1)
      pool(z, tile: 0, scales, into: output, choices(pass, tile))
    }
    workspace.release(to: mark)
  }

  /// Convolves a block into the pass's unpooled map; Σ z and Σ z² of every channel and the number of values.
  private func convolveAndCount(_ pass: Pass, _ weights: UnsafePointer<Float>) -> [Double] {
    guard let z = pass.unpooled else { preconditionFailure("BatchNorm in training keeps its input") }
    var sums = [Double](repeating: 0, count: 2 * shape.filters + 1)
    for tile in 0..<z.tiles {
      if shape.isDirect {
        kernels.convolve(pass.input, weights: weights, into: z, tile: tile)
      } else {
        kernels.convolvePlain(pass.input, kernel: shape.layer.kernel, weights: weights, into: z, tile: tile)
      }
      for channel in 0..<shape.filters {
        let (sum, squares) = kernels.planeMoments(z, tile: tile, channel: channel)
        sums[channel] += sum
        sums[shape.filters + channel] += squares
      }
    }
    sums[2 * shape.filters] = Double(z.rows * shape.positions)
    return sums
  }

  private func pool(
    _ z: PlaneMap, tile: Int, _ scales: ChannelScales, into output: PlaneMap,
    _ which: UnsafeMutablePointer<UInt8>
  ) {
    for channel in 0..<shape.filters {
      kernels.scaleAndPool(
        z, tile: tile, channel: channel, scale: scales.scale[channel], shift: scales.shift[channel],
        into: output, which: which + channel * shape.pooled * laneCount)
    }
  }

  // MARK: Scales

  /// The bias, or BatchNorm by its running statistics.
  private func fixedScales() -> ChannelScales {
    var scales = ChannelScales(
      scale: Array(repeating: 1, count: shape.filters), shift: Array(repeating: 0, count: shape.filters))
    for channel in 0..<shape.filters {
      let bias = bias.map { values[$0 + channel] } ?? 0
      guard let norm else {
        scales.shift[channel] = bias
        continue
      }
      let variance = Double(values[norm.runningVariance + channel])
      let factor = Double(values[norm.scale + channel]) / (variance + BatchNormTensors.epsilon).squareRoot()
      let centre = Double(bias) - Double(values[norm.runningMean + channel])
      scales.scale[channel] = Float(factor)
      scales.shift[channel] = Float(Double(values[norm.shift + channel]) + factor * centre)
    }
    return scales
  }

  private func batchScales(_ norm: BatchNormTensors, _ statistics: BatchStatistics) -> ChannelScales {
    let factors = (0..<shape.filters).map {
      Double(values[norm.scale + $0]) * statistics.inverse[$0]
    }
    return ChannelScales(
      scale: factors.map { Float($0) },
      shift: (0..<shape.filters).map {
        Float(Double(values[norm.shift + $0]) - factors[$0] * statistics.mean[$0])
      })
  }

  private func update(_ norm: BatchNormTensors, _ statistics: BatchStatistics) {
    for channel in 0..<shape.filters {
      // The convolution's bias is part of the mean, though not of what is normalised.
      let bias = bias.map { Double(values[$0 + channel]) } ?? 0
      norm.update(
        values, channel: channel, mean: statistics.mean[channel] + bias,
        variance: statistics.variance[channel], count: statistics.count)
    }
  }
}
