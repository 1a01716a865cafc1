internal import Dist
package import KernelInterface
package import Networks
package import Numerics

/// The experts that live on this rank, run on the rows that arrived. An expert without rows is not called, and its gradient
/// is zero.
///
/// Experts are shared out over the threads of a team, each on one thread in memory of its own, so that results and what is
/// read of them do not depend on the number of threads.
package final class ExpertBank {
  /// Ascending by number.
  package let experts: [Network]
  /// Whether gradients are taken.
  package let isTrained: Bool
  /// Per expert of the model: rows of this rank's shards whose mixture takes it.
  package var rowsSelected: [Int]
  private let team: ThreadTeam
  private let workspace = Workspace()
  private var passes: [Network.Pass?] = []
  /// The rows that arrived, where every expert takes all of them.
  private var shared: Tiles?

  /// - Parameters:
  ///   - experts: those of this rank.
  ///   - count: experts of the model.
  package init(_ experts: [Network], of count: Int, isTrained: Bool, team: ThreadTeam) {
    self.experts = experts
    rowsSelected = Array(repeating: 0, count: count)
    self.isTrained = isTrained
    self.team = team
  }

  /// Rows that arrived, and how they are read.
  package struct Rows {
    let bytes: UnsafeRawPointer
    let arrival: Exchange.Arrival
    let codec: any RowCodec
    /// Values of a row.
    let features: Int
  }

  /// Begins a step with the rows that arrived. Valid until the next call: the rows as all experts read them, nil where
  /// there is no expert or each takes rows of its own.
  func take(_ rows: Rows) -> Tiles? {
    workspace.reset()
    let takesAll = !experts.isEmpty && rows.arrival.positions == nil
    shared = takesAll ? tiles(rows, nil, count: rows.arrival.rows.total, in: workspace) : nil
    return shared
  }

  /// The answers of every local expert on its rows, taken before, [answer features][rows] each; valid until the next call.
  ///
  /// - Parameter hidden: whether answers carry the hidden values.
  func forward(_ rows: Rows, mode: NetworkMode, layout: AnswerLayout, hidden: Bool) throws -> [FeatureMap] {
    let features = hidden ? layout.width : layout.classes
    let counts = experts.indices.map { rows.arrival.rowCount(of: $0) }
    let answers = counts.map { workspace.map(features: features, rows: $0) }
    passes = Array(repeating: nil, count: experts.count)
    // In training every pass is kept; in evaluation as many as are worked on at a time.
    let atATime = mode == .training ? max(experts.count, 1) : team.threads
    for first in stride(from: 0, to: experts.count, by: atATime) {
      let wave = first..<min(first + atATime, experts.count)
      let mark = workspace.mark
      let pieces = wave.map { _ in workspace.piece() }
      var done = [Network.Pass?](repeating: nil, count: wave.count)
      try done.withUnsafeMutableBufferPointer { buffer in
        let places = buffer
        try team.run(wave.count) { index in
          let local = first + index
          guard counts[local] > 0 else { return }
          let piece = pieces[index]
          let input = shared ?? tiles(rows, rows.arrival.positions?[local], count: counts[local], in: piece)
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

  /// Counts the experts of a shard's rows: those of the table, or all.
  func countSelected(_ table: SlotTable?, rows: Int) {
    guard let table else {
      for expert in rowsSelected.indices { rowsSelected[expert] += rows }
      return
    }
    for row in 0..<rows {
      for slot in 0..<table.slots where table[row, slot] != SlotTable.empty {
        rowsSelected[table[row, slot]] += 1
      }
    }
  }

  /// Places for the gradients of the answers, like the answers.
  func gradientMaps(_ answers: [FeatureMap]) -> [FeatureMap] {
    answers.map { workspace.map(features: $0.features, rows: $0.rows) }
  }

  /// Every local expert's parameter gradients, from the gradients of its answers.
  func backward(_ gradients: [FeatureMap], answers: [FeatureMap], layout: AnswerLayout) throws {
    try team.run(experts.count) { local in
      let expert = experts[local]
      guard let pass = passes[local] else {
        expert.clearGradients()
        return
      }
      gradients[local].clearPadding()
      let logits = gradients[local].part(0..<layout.classes)
      kernels.logSoftmaxGradient(logits, logProbabilities: answers[local].part(0..<layout.classes))
      logits.clearPadding()
      let hidden =
        gradients[local].features > layout.classes
        ? [gradients[local].part(layout.classes..<layout.width)] : nil
      try expert.backward([pass], gradients: [logits], hidden: hidden)
    }
  }

  /// One step of Adam on every expert.
  package func update(_ step: AdamStep) {
    let trained = experts.filter { $0.parameters.training != nil }
    team.run(trained.count) { trained[$0].parameters.update(step) }
  }

  private func tiles(_ rows: Rows, _ positions: [Int32]?, count: Int, in workspace: Workspace) -> Tiles {
    let tiles = Tiles(
      base: workspace.floats(Tiles.floats(pixels: rows.features, rows: count)), pixels: rows.features,
      rows: count)
    rows.codec.read(rows.bytes, positions: positions, into: tiles)
    return tiles
  }
}
