internal import Dist
internal import KernelInterface
package import Networks
package import Numerics

/// The experts that live on this rank, run on the rows that arrived. An expert without rows is not called, and its gradient
/// is zero.
///
/// Experts are shared out over the threads of a team, each on one thread in memory of its own, so that results and what is
/// read of them do not depend on the number of threads.
package final class ExpertBank {
  /// Ascending by number.
  package let experts: [any Module]
  /// Whether gradients are taken.
  package let isTrained: Bool
  /// Per expert of the model: rows of this rank's shards whose mixture takes it.
  package var rowsSelected: [Int]
  /// Measures every expert; nil: nobody does.
  package var watch: (any ExpertWatch)?
  private let team: ThreadTeam
  private let workspace = Workspace()
  private var passes: [(any ModulePass)?] = []
  /// The rows that arrived, where every expert takes all of them.
  private var shared: RowBlock?

  /// - Parameters:
  ///   - experts: those of this rank.
  ///   - count: experts of the model.
  package init(_ experts: [any Module], of count: Int, isTrained: Bool, team: ThreadTeam) {
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
  }

  /// Begins a step with the rows that arrived. Valid until the next call: the rows as all experts read them, nil where
  /// there is no expert or each takes rows of its own.
  func take(_ rows: Rows) -> RowBlock? {
    workspace.reset()
    let takesAll = !experts.isEmpty && rows.arrival.positions == nil
    shared = takesAll ? read(rows, nil, count: rows.arrival.rows.total, in: workspace) : nil
    return shared
  }

  /// The answers of every local expert on its rows, taken before, [width][rows] each: its outputs, then its tapped values
  /// where they are asked for. Valid until the next call.
  func forward(_ rows: Rows, mode: NetworkMode, width: Int, isTapped: Bool) throws -> [FeatureMap] {
    let counts = experts.indices.map { rows.arrival.rowCount(of: $0) }
    let answers = counts.map { workspace.map(features: width, rows: $0) }
    passes = Array(repeating: nil, count: experts.count)
    // In training every pass is kept; in evaluation as many as are worked on at a time.
    let atATime = mode == .training ? max(experts.count, 1) : team.threads
    for first in stride(from: 0, to: experts.count, by: atATime) {
      let wave = first..<min(first + atATime, experts.count)
      let mark = workspace.mark
      let pieces = wave.map { _ in workspace.piece() }
      var done = [(any ModulePass)?](repeating: nil, count: wave.count)
      try done.withUnsafeMutableBufferPointer { buffer in
        let places = buffer
        try team.run(wave.count) { index in
          let local = first + index
          guard counts[local] > 0 else { return }
          let piece = pieces[index]
          let input = shared ?? read(rows, rows.arrival.positions?[local], count: counts[local], in: piece)
          let expert = experts[local]
          try watched(local, rows: counts[local], isBackward: false) {
            places[index] = try expert.forward(
              [input], into: [answers[local].part(0..<expert.outputs)],
              taps: isTapped ? [answers[local].part(expert.outputs..<width)] : nil, mode: mode, in: [piece])
          }
        }
      }
      switch mode {
      case .training: passes = done
      case .evaluation: workspace.release(to: mark)
      }
    }
    return answers
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
  ///
  /// - Parameter rowFeatures: values of a row, where the gradients of rows are wanted.
  /// - Returns: per expert, the gradients of its rows; nothing where they are not wanted.
  func backward(_ gradients: [FeatureMap], rowFeatures: Int?) throws -> [FeatureMap] {
    let ofRows = rowFeatures.map { features in
      gradients.map { workspace.map(features: features, rows: $0.rows) }
    }
    try team.run(experts.count) { local in
      let expert = experts[local]
      guard let pass = passes[local] else {
        expert.clearGradients()
        return
      }
      let gradient = gradients[local]
      gradient.clearPadding()
      try watched(local, rows: gradient.rows, isBackward: true) {
        try expert.backward(
          pass, gradients: [gradient.part(0..<expert.outputs)],
          taps: gradient.features > expert.outputs
            ? [gradient.part(expert.outputs..<gradient.features)] : nil,
          inputs: ofRows.map { [$0[local]] })
      }
    }
    return ofRows ?? []
  }

  private func watched(_ local: Int, rows: Int, isBackward: Bool, _ body: () throws -> Void) rethrows {
    guard let watch else { return try body() }
    try watch.measure(expert: local, rows: rows, isBackward: isBackward, body)
  }

  /// Updates every expert.
  package func update(_ point: UpdatePoint) {
    let trained = experts.flatMap(\.parameters).filter { $0.training != nil }
    team.run(trained.count) { trained[$0].update(point) }
  }

  private func read(_ rows: Rows, _ positions: [Int32]?, count: Int, in workspace: Workspace) -> RowBlock {
    rows.codec.read(rows.bytes, positions: positions, count: count, in: workspace)
  }
}
