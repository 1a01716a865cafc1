internal import Dist

/// One rank's experts at work on the rows that arrived.
package final class ExpertBank {
  private let parts: ModelParts
  private let normalisation: Normalisation
  private let payload: Payload
  private let layout: AnswerLayout
  private let workspace: Workspace
  private var passes: [Network.Pass?] = []
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
        trainingRows: trainingRows, trainingSlots: trainingSlots, evaluationRows: evaluationRows))
  }

  /// Bytes that a number of experts need for the largest batches; 0 where there is no expert.
  static func workspaceBytes(
    experts count: Int, spec: NetworkSpec, pixels: Int, answerWidth: Int, trainingRows: Int,
    trainingSlots: Int, evaluationRows: Int
  ) -> Int {
    guard count > 0 else { return 0 }
    func bytes(pairs: Int, experts: Int) -> Int {
      // Every expert's rows are padded to a whole vector, and its maps have one more.
      let rows = pairs + experts * 31
      return spec.workspaceBytes(rows: rows)
        + Workspace.bytes(floats: Tiles.floats(pixels: pixels, rows: rows))
        + 2 * Workspace.bytes(floats: FeatureMap.count(features: answerWidth, rows: rows)) + experts * 4096
    }
    let trained = bytes(pairs: trainingRows * min(trainingSlots, count), experts: count)
    let answers = Workspace.bytes(
      floats: answerWidth * (evaluationRows * count + 31 * count) + count * laneCount)
    let evaluated =
      bytes(pairs: evaluationRows, experts: 1) + answers
      + Workspace.bytes(floats: Tiles.floats(pixels: pixels, rows: evaluationRows))
    return max(trained, evaluated)
  }

  /// The answers of every local expert on its rows, [answer features][rows] each; valid until the next call.
  ///
  /// - Parameter hidden: whether answers carry the hidden values.
  package func forward(
    _ rows: UnsafeRawPointer, _ arrival: Exchange.Arrival, images: ImageView, mode: NetworkMode, hidden: Bool
  ) -> [FeatureMap] {
    workspace.reset()
    passes = []
    guard !parts.experts.isEmpty else { return [] }
    let shared = arrival.positions == nil ? tiles(rows, nil, count: arrival.rows.total, images) : nil
    let features = hidden ? layout.width : layout.classes
    return parts.experts.enumerated().map { local, expert in
      let count = arrival.rowCount(of: local)
      let answers = workspace.map(features: features, rows: count)
      let mark = workspace.mark
      if count == 0 {
        passes.append(nil)
        return answers
      }
      let input = shared ?? tiles(rows, arrival.positions?[local], count: count, images)
      let pass: Network.Pass
      switch mode {
      case .training:
        pass = expert.forward([input], mode: .training, in: workspace)[0]
        passes.append(pass)
      case .evaluation:
        expert.prepareEvaluation()
        pass = expert.forwardBlock(input, in: workspace)
      }
      logSoftmax(pass.output, scale: 1, into: answers)
      if hidden, let tap = pass.hidden {
        answers[layout.classes].update(from: tap.base, count: tap.features * tap.stride)
      }
      if mode == .evaluation { workspace.release(to: mark) }
      return answers
    }
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
  package func backward(_ gradients: [FeatureMap], answers: [FeatureMap]) {
    for (local, expert) in parts.experts.enumerated() {
      guard let pass = passes[local] else {
        expert.backward([], gradients: [], in: workspace, tree: nil)
        continue
      }
      gradients[local].clearPadding()
      let logits = part(gradients[local], 0..<layout.classes)
      logSoftmaxGradient(logits, logProbabilities: part(answers[local], 0..<layout.classes))
      logits.clearPadding()
      let hidden =
        gradients[local].features > layout.classes
        ? [part(gradients[local], layout.classes..<layout.width)] : nil
      expert.backward([pass], gradients: [logits], hidden: hidden, in: workspace, tree: nil)
    }
  }

  private func part(_ map: FeatureMap, _ features: Range<Int>) -> FeatureMap {
    FeatureMap(base: map[features.lowerBound], features: features.count, rows: map.rows)
  }

  /// The rows at the given positions as tiles; all rows where there are no positions.
  private func tiles(
    _ rows: UnsafeRawPointer, _ positions: [Int32]?, count: Int, _ images: ImageView
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
