package import DataSets
internal import Dist
package import KernelInterface
package import MoE
package import Networks
package import Numerics

/// One rank's experts at work on the rows that arrived.
package final class ExpertBank {
  private let parts: ModelParts
  private let normalisation: Normalisation
  private let payload: Payload
  private let layout: AnswerLayout
  private let workspace: Workspace
  private var passes: [Network.Pass?] = []
  /// The rows that arrived, where every expert takes all of them.
  private var shared: Tiles?
  /// Per expert of the model: rows of this rank's shards whose mixture takes it.
  package internal(set) var rowsSelected: [Int]

  /// - Parameters:
  ///   - layout: the widest answers that the steps ask for.
  ///   - trainingRows, evaluationRows: the largest batches; 0 where there is none.
  ///   - trainingSlots: experts per row in training.
  package init(
    _ parts: ModelParts, normalisation: Normalisation, payload: Payload, layout: AnswerLayout,
    trainingRows: Int, trainingSlots: Int, evaluationRows: Int
  ) {
    self.parts = parts
    self.normalisation = normalisation
    self.payload = payload
    self.layout = layout
    let count = parts.experts.count
    rowsSelected = Array(repeating: 0, count: parts.placement.experts)
    workspace = Workspace(
      capacity: ExpertBank.workspaceBytes(
        experts: count, spec: parts.expertSpec, pixels: parts.input.pixels, answerWidth: layout.width,
        trainingRows: trainingRows, trainingSlots: trainingSlots, evaluationRows: evaluationRows,
        threads: parts.team.threads, products: parts.gateRequest.products))
  }

  /// Bytes that a number of experts need for the largest batches; 0 where there is no expert.
  static func workspaceBytes(
    experts count: Int, spec: NetworkSpec, pixels: Int, answerWidth: Int, trainingRows: Int,
    trainingSlots: Int, evaluationRows: Int, threads: Int, products: DenseProducts
  ) -> Int {
    guard count > 0 else { return 0 }
    func bytes(pairs: Int, experts: Int, rowsOfOne: Int) -> Int {
      // Every expert's rows are padded to a whole vector, and its maps have one more.
      let rows = pairs + experts * 31
      return spec.workspaceBytes(rows: rows, products: products)
        + experts * spec.scratchBytes(rows: rowsOfOne, products: products)
        + Workspace.bytes(floats: Tiles.floats(pixels: pixels, rows: rows))
        + 2 * Workspace.bytes(floats: FeatureMap.count(features: answerWidth, rows: rows)) + experts * 4096
    }
    let trained = bytes(
      pairs: trainingRows * min(trainingSlots, count), experts: count,
      rowsOfOne: trainingRows)
    let answers = Workspace.bytes(
      floats: answerWidth * (evaluationRows * count + 31 * count) + count * laneCount)
    let atATime = min(threads, count)
    let evaluated =
      bytes(pairs: evaluationRows * atATime, experts: atATime, rowsOfOne: evaluationRows) + answers
      + Workspace.bytes(floats: Tiles.floats(pixels: pixels, rows: evaluationRows))
    return max(trained, evaluated)
  }

  /// Begins a step with the rows that arrived. Valid until the next call: the rows as all experts read them, nil where
  /// there is no expert or each takes rows of its own.
  package func take(_ rows: UnsafeRawPointer, _ arrival: Exchange.Arrival, images: ImageView) -> Tiles? {
    workspace.reset()
    let takesAll = !parts.experts.isEmpty && arrival.positions == nil
    shared = takesAll ? tiles(rows, nil, count: arrival.rows.total, images, in: workspace) : nil
    return shared
  }

  /// The answers of every local expert on its rows, taken before, [answer features][rows] each; valid until the next call.
  ///
  /// - Parameter hidden: whether answers carry the hidden values.
  package func forward(
    _ rows: UnsafeRawPointer, _ arrival: Exchange.Arrival, images: ImageView, mode: NetworkMode, hidden: Bool
  ) throws -> [FeatureMap] {
    let experts = parts.experts
    let features = hidden ? layout.width : layout.classes
    let counts = experts.indices.map { arrival.rowCount(of: $0) }
    let answers = counts.map { workspace.map(features: features, rows: $0) }
    passes = Array(repeating: nil, count: experts.count)
    // In training every pass is kept; in evaluation as many as are worked on at a time.
    let atATime = mode == .training ? max(experts.count, 1) : parts.team.threads
    for first in stride(from: 0, to: experts.count, by: atATime) {
      let wave = first..<min(first + atATime, experts.count)
      let mark = workspace.mark
      let pieces = wave.map { workspace.piece(pieceBytes(rows: counts[$0])) }
      var done = [Network.Pass?](repeating: nil, count: wave.count)
      try done.withUnsafeMutableBufferPointer { buffer in
        let places = buffer
        try parts.team.run(wave.count) { index in
          let local = first + index
          guard counts[local] > 0 else { return }
          let piece = pieces[index]
          let input =
            shared ?? tiles(rows, arrival.positions?[local], count: counts[local], images, in: piece)
          let pass = try run(experts[local], input, mode, in: piece)
          kernels.logSoftmax(pass.output, scale: 1, into: answers[local])
          if hidden, let tap = pass.hidden {
            answers[local][layout.classes].update(from: tap.base, count: tap.features * tap.stride)
          }
          places[index] = pass
        }
      }
      switch mode {
      case .training: passes = done
      case .evaluation: workspace.release(to: mark)
      }
    }
    return answers
  }

  private func run(
    _ expert: Network, _ input: Tiles, _ mode: NetworkMode, in workspace: Workspace
  ) throws -> Network.Pass {
    switch mode {
    case .training:
      return try expert.forward([input], mode: .training, in: workspace)[0]
    case .evaluation:
      try expert.prepareEvaluation()
      return try expert.forwardBlocks([input], in: [workspace])[0]
    }
  }

  /// Bytes of an expert's own memory for so many rows: its network's, and its input where that is not shared.
  private func pieceBytes(rows: Int) -> Int {
    guard rows > 0 else { return 0 }
    return parts.expertSpec.workspaceBytes(rows: rows, products: parts.gateRequest.products)
      + (shared == nil ? Workspace.bytes(floats: Tiles.floats(pixels: parts.input.pixels, rows: rows)) : 0)
  }

  /// Counts the experts of a shard's rows: those of the table, or all.
  package func countSelected(_ table: SlotTable?, rows: Int) {
    guard let table else {
      for expert in rowsSelected.indices { rowsSelected[expert] += rows }
      return
    }
    for row in 0..<rows {
      for slot in 0..<table.slots { rowsSelected[table[row, slot]] += 1 }
    }
  }

  /// Places for the gradients of the answers, like the answers.
  package func gradientMaps(_ answers: [FeatureMap]) -> [FeatureMap] {
    answers.map { workspace.map(features: $0.features, rows: $0.rows) }
  }

  /// Every local expert's parameter gradients, from the gradients of its answers.
  package func backward(_ gradients: [FeatureMap], answers: [FeatureMap]) throws {
    let experts = parts.experts
    try parts.team.run(experts.count) { local in
      let expert = experts[local]
      guard let pass = passes[local] else {
        expert.clearGradients()
        return
      }
      gradients[local].clearPadding()
      let logits = part(gradients[local], 0..<layout.classes)
      kernels.logSoftmaxGradient(logits, logProbabilities: part(answers[local], 0..<layout.classes))
      logits.clearPadding()
      let hidden =
        gradients[local].features > layout.classes
        ? [part(gradients[local], layout.classes..<layout.width)] : nil
      try expert.backward([pass], gradients: [logits], hidden: hidden)
    }
  }

  private func part(_ map: FeatureMap, _ features: Range<Int>) -> FeatureMap {
    FeatureMap(base: map[features.lowerBound], features: features.count, rows: map.rows)
  }

  /// The rows at the given positions as tiles; all rows where there are no positions.
  private func tiles(
    _ rows: UnsafeRawPointer, _ positions: [Int32]?, count: Int, _ images: ImageView, in workspace: Workspace
  ) -> Tiles {
    let pixels = parts.input.pixels
    let tiles = Tiles(
      base: workspace.floats(Tiles.floats(pixels: pixels, rows: count)), pixels: pixels, rows: count)
    func position(_ row: Int) -> Int { positions.map { Int($0[row]) } ?? row }
    switch payload {
    case .uint8:
      normalisation.fill(tiles) { rows.assumingMemoryBound(to: UInt8.self) + position($0) * pixels }
    case .index:
      let samples = rows.assumingMemoryBound(to: Int32.self)
      normalisation.fill(tiles, of: images) { samples[position($0)] }
    case .float32:
      withUnsafeTemporaryAllocation(of: UnsafePointer<Float>.self, capacity: laneCount) { lanes in
        for tile in 0..<tiles.count {
          let count = min(laneCount, tiles.rows - tile * laneCount)
          for lane in 0..<count {
            lanes[lane] =
              rows.assumingMemoryBound(to: Float.self) + position(tile * laneCount + lane) * pixels
          }
          normalisation.writeTile(floats: lanes.baseAddress!, count: count, into: tiles[tile])
        }
      }
    }
    return tiles
  }
}

extension Normalisation {
  /// Fills tiles from rows of bytes.
  package func fill(_ tiles: Tiles, row: (Int) -> UnsafePointer<UInt8>) {
    withUnsafeTemporaryAllocation(of: UnsafePointer<UInt8>.self, capacity: laneCount) { lanes in
      for tile in 0..<tiles.count {
        let count = min(laneCount, tiles.rows - tile * laneCount)
        for lane in 0..<count { lanes[lane] = row(tile * laneCount + lane) }
        writeTile(lanes.baseAddress!, count: count, into: tiles[tile])
      }
    }
  }

  /// Fills tiles from the images of samples.
  package func fill(_ tiles: Tiles, of images: ImageView, sample: (Int) -> Int32) {
    let scratchBytes = images.isAugmented ? laneCount * images.pixels : 0
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: max(scratchBytes, 1)) { scratch in
      guard let scratch = scratch.baseAddress else { return }
      fill(tiles) { row in
        let place = images.isAugmented ? row % laneCount * images.pixels : 0
        return images.row(sample(row), scratch: scratch + place)
      }
    }
  }
}
