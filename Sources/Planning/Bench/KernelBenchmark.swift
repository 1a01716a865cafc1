internal import KernelInterface
internal import MoE
internal import Networks
internal import Numerics
package import Training

/// What is neither a product nor a network's convolutions as a whole: kernels of a model's step as shares of what this core
/// allows them, the smaller of its peak and of their FLOPs per byte times the bandwidth of memory of their size.
package struct KernelBenchmark {
  package struct Row: Equatable {
    package let kernel: String
    package let flops: Double
    package let bytes: Double
    /// Its share is that of the bound.
    package let measured: MeasuredRate
    package let isBoundByMemory: Bool

    package var seconds: Double { flops / measured.rate }
  }

  private let outline: ModelOutline
  private let seconds: Double

  package init(_ outline: ModelOutline, seconds: Double = 0.03) {
    self.outline = outline
    self.seconds = seconds
  }

  /// Measures on this rank.
  package func measure() -> [Row] {
    var rows: [Row] = []
    let blockRows = min(outline.blockRows, outline.batchRows)
    if outline.gateComputes, let spec = outline.gateNetwork {
      rows +=
        spec.hasStem
        ? stem("gate", spec, rows: blockRows)
        : spec.stages.filter(\.layer.batchNorm).map { pooling($0, rows: blockRows) }
    }
    if let spec = outline.expertNetwork, spec.hasStem {
      rows += stem("expert", spec, rows: outline.batchRows * outline.slots / outline.experts)
    }
    rows.append(mixture())
    rows.append(adam())
    return rows
  }

  private func row(_ kernel: String, flops: Double, bytes: Double, _ body: () -> Void) -> Row {
    let memory = Bandwidth(bytes: bytes)
    let intensity = flops / bytes
    // Samples of the bound at which memory, or the peak, was the smaller.
    var counts = (memory: 0, peak: 0)
    let measured = MeasuredRate(
      flops: flops, seconds: seconds,
      bound: {
        let (peak, atMemory) = (PeakRate.sample(), intensity * memory.sample())
        if atMemory < peak { counts.memory += 1 } else { counts.peak += 1 }
        return min(peak, atMemory)
      }, body)
    return Row(
      kernel: kernel, flops: flops, bytes: bytes, measured: measured,
      isBoundByMemory: counts.memory > counts.peak)
  }

  // MARK: Kernels

  private func stem(_ network: String, _ spec: NetworkSpec, rows count: Int) -> [Row] {
    let rows = max(1, min(count, 128))
    let shape = ConvolutionShape(
      height: spec.input.height, width: spec.input.width, filters: spec.convolutions[0].filters)
    let pixels = spec.input.pixels
    let maps = Workspace(
      capacity: Workspace.bytes(floats: Tiles.floats(pixels: pixels, rows: rows))
        + 2 * Workspace.bytes(floats: FeatureMap.count(features: shape.features, rows: rows))
        + shape.features * FeatureMap.columns(rows: rows) + 2 * Workspace.bytes(floats: 160 * shape.filters))
    let tiles = Tiles(
      base: maps.floats(Tiles.floats(pixels: pixels, rows: rows)), pixels: pixels, rows: rows)
    let output = maps.map(features: shape.features, rows: rows)
    let gradient = maps.map(features: shape.features, rows: rows)
    let which = maps.bytes(shape.features * output.columns)
    let weights = maps.floats(9 * shape.filters)
    let memory = maps.floats(160 * shape.filters)
    fillWithNoise(tiles.base, Tiles.floats(pixels: pixels, rows: rows))
    fillWithNoise(gradient.base, gradient.features * gradient.stride)
    fillWithNoise(weights, 9 * shape.filters)
    let images = Double(4 * pixels * rows)
    let maxima = Double(shape.features * rows)
    let flops = Double(18 * shape.filters * shape.positions * rows)
    var list = [
      row("\(network) convolution, pool, ReLU", flops: flops, bytes: images + 5 * maxima) {
        kernels.convolvePoolRectify(tiles, shape, weights: weights, bias: weights, into: output, which: which)
      }
    ]
    var sums = [Double](repeating: 0, count: max(10 * shape.filters, PatchSums.count))
    sums.withUnsafeMutableBufferPointer { sums in
      guard let sums = sums.baseAddress else { return }
      list.append(
        row("\(network) convolution, gradient", flops: flops, bytes: images + 9 * maxima) {
          kernels.convolutionGradientSums(
            tiles, shape, activation: output, gradient: gradient, which: which, into: sums, memory: memory)
        })
      guard spec.convolutions[0].batchNorm else { return }
      withLanes(PatchSums.memoryFloats / laneCount) { memory in
        list.append(
          row("\(network) patch moments", flops: Double(27 * pixels * rows), bytes: images) {
            kernels.addPatchMoments(tiles, shape, to: sums, memory: memory)
          })
      }
    }
    return list
  }

  private func pooling(_ stage: StageShape, rows: Int) -> Row {
    func floats(_ height: Int, _ width: Int) -> Int {
      PlaneMap.floats(channels: stage.filters, height: height, width: width, rows: rows)
    }
    let memory = Workspace(
      capacity: Workspace.bytes(floats: floats(stage.height, stage.width))
        + 2 * Workspace.bytes(floats: floats(stage.pooledHeight, stage.pooledWidth)) + 256)
    let z = PlaneMap(
      base: memory.floats(floats(stage.height, stage.width)), channels: stage.filters, height: stage.height,
      width: stage.width, rows: rows)
    let y = PlaneMap(
      base: memory.floats(floats(stage.pooledHeight, stage.pooledWidth)), channels: stage.filters,
      height: stage.pooledHeight, width: stage.pooledWidth, rows: rows)
    let which = memory.bytes(floats(stage.pooledHeight, stage.pooledWidth))
    fillWithNoise(z.base, floats(stage.height, stage.width))
    let inputs = Double(floats(stage.height, stage.width))
    return row(
      "gate BatchNorm, pool of \(stage.filters) maps", flops: 3 * inputs, bytes: 4 * inputs + 5 * inputs / 4
    ) {
      for tile in 0..<z.tiles {
        for channel in 0..<stage.filters {
          kernels.scaleAndPool(
            z, tile: tile, channel: channel, scale: 0.5, shift: 0.1, into: y,
            which: which + (tile * stage.filters + channel) * stage.pooled * laneCount)
        }
      }
    }
  }

  private func mixture() -> Row {
    let rows = outline.batchRows
    let rule = outline.rule.mixture
    let slots = outline.rule.selection.slots(experts: outline.experts)
    let answers = rule.everyExpertAnswers ? outline.experts : slots
    let features = answers * rule.layout.width
    let memory = Workspace(
      capacity: 2 * Workspace.bytes(floats: FeatureMap.count(features: features, rows: rows))
        + 3 * Workspace.bytes(floats: FeatureMap.count(features: outline.experts + 8, rows: rows))
        + Workspace.bytes(floats: rule.memoryFloats(slots: slots)) + 1024)
    let scores = memory.map(features: outline.experts, rows: rows)
    let values = memory.map(features: features, rows: rows)
    fillWithNoise(scores.base, scores.features * scores.stride)
    fillWithNoise(values.base, values.features * values.stride)
    let shard = ShardMixture(
      scores: scores, answers: values,
      table: outline.rule.selection.dropless.table(of: scores),
      labels: (0..<rows).map { UInt8($0 % rule.classes) }, batchRows: rows)
    let report = memory.map(features: RowReport.allCases.count, rows: rows)
    let gate = memory.map(features: outline.experts, rows: rows)
    let gradients = MixtureGradients(
      gateScores: gate, expertScores: gate, answers: memory.map(features: features, rows: rows))
    // An exponential is 22 FLOPs, a logarithm 24: their own multiply-adds.
    let exponentials = slots * rule.classes + 3 * slots + 2 * outline.experts
    return row(
      "mixture, loss, gradients", flops: Double(rows * (22 * exponentials + 48)),
      bytes: Double(4 * rows * (2 * features + 2 * outline.experts + 6))
    ) { shard.run(rule, report: report, gradients: gradients, in: memory) }
  }

  private func adam() -> Row {
    let count = FeatureMap.columns(
      rows: outline.gateSize.parameterCount + outline.experts * outline.expertSpec.parameterCount)
    let memory = Workspace(capacity: 4 * Workspace.bytes(floats: count))
    let buffers = (0..<4).map { _ in memory.floats(count) }
    for buffer in buffers { fillWithNoise(buffer, count) }
    for i in 0..<count { buffers[3][i] = buffers[3][i].magnitude }
    let step = AdamStep(step: 10, learningRate: 1e-6, weightDecay: 0)
    return row("Adam", flops: 16 * Double(count), bytes: 28 * Double(count)) {
      kernels.adam(
        step, values: buffers[0], gradients: buffers[1], first: buffers[2], second: buffers[3], count: count)
    }
  }
}

/// The bandwidth of memory of a size: a scaled sum of two buffers that together have it, three transfers per element.
private final class Bandwidth {
  private let count: Int
  private let memory: Workspace
  private let source: Floats
  private let target: Floats

  init(bytes: Double) {
    count = max(laneCount, FeatureMap.columns(rows: Int(bytes / 8)))
    memory = Workspace(capacity: 2 * Workspace.bytes(floats: count))
    source = memory.floats(count)
    target = memory.floats(count)
    source.update(repeating: 1, count: count)
    target.update(repeating: 1, count: count)
    kernels.addProduct(0.5, source, to: target, count: count)
  }

  /// Bytes per second.
  func sample() -> Double {
    let begin = PhaseClock.now()
    kernels.addProduct(0.5, source, to: target, count: count)
    return Double(12 * count) / max(PhaseClock.now() - begin, 1e-9)
  }
}
