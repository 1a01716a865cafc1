package import KernelInterface
package import Networks
internal import Numerics

/// All losses of a layer's gate, in the order in which they are added and reported.
package final class RoutingLosses {
  private let list: [any RoutingLoss]
  private let ofRows: [any RoutingLoss]
  private let ofBatch: [any RoutingLoss]
  private let temperature: Float
  private let workspace = Workspace()

  /// - Parameter temperature: T of p = softmax(score/T).
  package init(_ list: [any RoutingLoss], temperature: Float) {
    self.list = list
    self.temperature = temperature
    ofRows = list.filter { $0.scope == .row }
    ofBatch = list.filter { $0.scope != .row }
  }

  package var haveRowScope: Bool { !ofRows.isEmpty }
  package var haveBatchScope: Bool { !ofBatch.isEmpty }
  /// Whether rank 0 needs the inputs of the whole batch.
  package var needRows: Bool { ofBatch.contains { $0.scope == .batch(needsRows: true) } }
  /// Numbers per block that ``ofRows(_:blocks:batchRows:select:into:)`` returns.
  package var rowSums: Int { 2 * ofRows.count }

  /// Writes the gradient by the scores of the losses that are means over rows.
  ///
  /// - Parameters:
  ///   - scores: of a shard.
  ///   - blocks: the columns of the shard's blocks.
  ///   - gradient: [experts][rows], overwritten.
  /// - Returns: per block what it adds, ``rowSums`` numbers.
  package func ofRows(
    _ scores: RoutingScores, blocks: [Range<Int>], batchRows: Int, select: @escaping () -> SlotTable?,
    into gradient: FeatureMap
  ) -> [[Double]] {
    add(ofRows, scores, blocks, batchRows: batchRows, inputs: [], select, into: gradient).map { values in
      values.flatMap { [$0.reported, $0.weighted] }
    }
  }

  /// Writes the gradient by the scores of the losses that see the whole batch.
  ///
  /// - Parameters:
  ///   - inputs: the batch, block by block, where one of them needs it.
  ///   - gradient: [experts][B], overwritten.
  package func ofBatch(
    _ scores: RoutingScores, inputs: [RowBlock], select: @escaping () -> SlotTable?, into gradient: FeatureMap
  ) -> [LossValue] {
    let rows = scores.used.rows
    return add(ofBatch, scores, [0..<rows], batchRows: rows, inputs: inputs, select, into: gradient)[0]
  }

  /// What all of them said of a batch, in their order.
  ///
  /// - Parameters:
  ///   - rowSums: the sums over all blocks of what ``ofRows(_:blocks:batchRows:select:into:)`` returned.
  ///   - batchValues: of those that see the whole batch.
  package func values(rowSums: [Double], batchValues: [LossValue]) -> [NamedValue] {
    var sums = rowSums[...]
    var values = batchValues[...]
    return list.map { loss in
      let value =
        loss.scope == .row
        ? LossValue(reported: sums.removeFirst(), weighted: sums.removeFirst()) : values.removeFirst()
      return NamedValue(name: loss.name, reported: value.reported, weighted: value.weighted)
    }
  }

  /// Per range of columns, what each of some losses said.
  private func add(
    _ losses: [any RoutingLoss], _ scores: RoutingScores, _ ranges: [Range<Int>], batchRows: Int,
    inputs: [RowBlock], _ select: @escaping () -> SlotTable?, into gradient: FeatureMap
  ) -> [[LossValue]] {
    workspace.reset()
    let p = workspace.map(features: scores.used.features, rows: scores.used.rows)
    kernels.softmax(scores.used, scale: 1 / temperature, into: p)
    p.clearPadding()
    gradient.clear()
    var values = ranges.map { _ in losses.map { _ in LossValue(reported: 0, weighted: 0) } }
    func add(_ variable: LossVariable) {
      for (place, loss) in losses.enumerated() where loss.variable == variable {
        for (number, rows) in ranges.enumerated() {
          let view = RoutingView(
            scores: scores, probabilities: p, temperature: temperature, rows: rows, batchRows: batchRows,
            inputs: inputs, select: select)
          values[number][place] = loss.add(view, to: gradient)
        }
      }
    }
    // Gradients by p become gradients by the scores together, in place, before those by the scores are added.
    add(.probabilities)
    if losses.contains(where: { $0.variable == .probabilities }) {
      kernels.softmaxGradient(gradient, probabilities: p, scale: 1 / temperature)
    }
    add(.scores)
    return values
  }
}
