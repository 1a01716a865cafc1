package import KernelInterface
package import Numerics

/// Convolution stages one behind the other, for every network that ``ConvolutionStem`` does not do.
///
/// BatchNorm in any stage needs the statistics of the whole batch, so a stage runs over all blocks before the next begins.
package final class ConvolutionStack {
  private let input: ImageShape
  private let stages: [ConvolutionStage]
  /// Combines BatchNorm's sums over the blocks.
  private let sums: any BlockSums
  /// Of every stage with BatchNorm in the last forward pass in training.
  private var statistics: [BatchStatistics?] = []
  private var normGradients: [ConvolutionStage.NormGradients?] = []

  package init(
    _ spec: NetworkSpec, prefix: String, parameters: Parameters, sums: any BlockSums, team: ThreadTeam
  ) {
    input = spec.input
    self.sums = sums
    stages = spec.stages.enumerated().map { index, shape in
      ConvolutionStage(
        shape, number: index + 1, prefix: prefix, parameters: parameters, team: team)
    }
  }

  /// One block's passes, stage by stage.
  package typealias Pass = [ConvolutionStage.Pass]

  /// - Parameters:
  ///   - outputs: per block, the features of the last stage.
  ///   - pieces: per block, memory of its own.
  package func forward(
    _ blocks: [Tiles], into outputs: [FeatureMap], mode: NetworkMode, in pieces: [Workspace]
  ) throws -> [Pass] {
    var statistics: [BatchStatistics?] = []
    var inputs = zip(blocks, pieces).map { planes(of: $0, in: $1) }
    var passes = [Pass](repeating: [], count: blocks.count)
    for (index, stage) in stages.enumerated() {
      let shape = stage.shape
      let last = index == stages.count - 1
      let targets = blocks.indices.map { block in
        last
          ? PlaneMap(
            outputs[block], channels: shape.filters, height: shape.pooledHeight, width: shape.pooledWidth)
          : pieces[block].planes(
            channels: shape.filters, height: shape.pooledHeight, width: shape.pooledWidth,
            rows: blocks[block].rows, border: stages[index + 1].shape.layer.padding)
      }
      let done = try stage.forward(inputs, into: targets, mode: mode, sums, in: pieces)
      statistics.append(done.statistics)
      for (block, pass) in done.passes.enumerated() { passes[block].append(pass) }
      inputs = targets
    }
    if mode == .training { self.statistics = statistics }
    return passes
  }

  /// Writes every block's gradients into its target, but for BatchNorm's tensors.
  ///
  /// - Parameter gradients: per block, of the outputs; zero behind the last row.
  package func backward(
    _ passes: [Pass], gradients: [FeatureMap], into targets: [Floats], in pieces: [Workspace]
  ) throws {
    normGradients = stages.map { _ in nil }
    guard let last = stages.last?.shape else { return }
    var current = gradients.map {
      PlaneMap($0, channels: last.filters, height: last.pooledHeight, width: last.pooledWidth)
    }
    for (index, stage) in stages.enumerated().reversed() {
      let shape = stage.shape
      let below =
        index == 0
        ? nil
        : zip(current, pieces).map {
          $1.planes(
            channels: shape.inputs, height: shape.inputHeight, width: shape.inputWidth, rows: $0.rows,
            border: 0)
        }
      normGradients[index] = try stage.backward(
        passes.map { $0[index] }, statistics[index], gradients: current, into: targets,
        inputGradients: below, sums, in: pieces)
      current = below ?? []
    }
  }

  /// Writes the gradients of BatchNorm's scales and shifts of the last backward pass.
  package func writeNormGradients(into gradients: Floats) {
    for (stage, found) in zip(stages, normGradients) {
      guard let norm = stage.norm, let found else { continue }
      for channel in 0..<stage.shape.filters {
        gradients[norm.scale + channel] = Float(found.scale[channel])
        gradients[norm.shift + channel] = Float(found.shift[channel])
      }
    }
  }

  /// The images as planes, with a border where the first convolution is padded.
  private func planes(of tiles: Tiles, in workspace: Workspace) -> PlaneMap {
    let image = PlaneMap(
      base: tiles.base, channels: input.channels, height: input.height, width: input.width,
      rows: tiles.rows)
    guard let padding = stages.first?.shape.layer.padding, padding > 0 else { return image }
    let padded = workspace.planes(
      channels: input.channels, height: input.height, width: input.width, rows: tiles.rows,
      border: padding)
    padded.copy(image)
    return padded
  }
}

extension NetworkSpec {
  /// Bytes that the stages' maps and their gradients take; the last output is not among them.
  func stackBytes(rows: Int) -> Int {
    func map(_ channels: Int, _ height: Int, _ width: Int, border: Int = 0) -> Int {
      Workspace.bytes(
        floats: PlaneMap.floats(
          channels: channels, height: height, width: width, rows: rows, border: border))
    }
    var bytes = 0
    for (index, stage) in stages.enumerated() {
      let padding = stage.layer.padding
      if index > 0 || padding > 0 {
        bytes += map(stage.inputs, stage.inputHeight, stage.inputWidth, border: padding)
      }
      if index > 0 { bytes += map(stage.inputs, stage.inputHeight, stage.inputWidth) }
      if stage.layer.batchNorm { bytes += map(stage.filters, stage.height, stage.width) }
      bytes += (FeatureMap.columns(rows: rows) * stage.features + 63) / 64 * 64
    }
    return bytes
  }
}
