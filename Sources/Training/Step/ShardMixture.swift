package import KernelInterface
package import MoE
package import Numerics

/// The rows of one shard, ready for their mixture.
package struct ShardMixture {
  /// [experts][rows]
  package let scores: FeatureMap
  /// [slots · width][rows], see ``AnswerLayout``.
  package let answers: FeatureMap
  /// The experts of the slots; nil where slot = expert.
  package let table: SlotTable?
  /// One per row.
  package let labels: [UInt8]
  /// B, the global number of rows.
  package let batchRows: Int

  package init(scores: FeatureMap, answers: FeatureMap, table: SlotTable?, labels: [UInt8], batchRows: Int) {
    self.scores = scores
    self.answers = answers
    self.table = table
    self.labels = labels
    self.batchRows = batchRows
  }

  /// Mixture, loss and gradients of the rows, in log space and by per-row arithmetic alone.
  ///
  /// - Parameters:
  ///   - report: [reports][rows], see ``RowReport``.
  ///   - distribution: [classes][rows], the model's probability of every class; nil where nobody asks.
  ///   - gradients: nil in evaluation.
  package func run(
    _ rule: MixtureRule, report: FeatureMap, distribution: FeatureMap? = nil, gradients: MixtureGradients?,
    in workspace: Workspace
  ) {
    let slots = table?.slots ?? rule.experts
    let mark = workspace.mark
    let memory = workspace.floats(rule.memoryFloats(slots: slots))
    labels.withUnsafeBufferPointer { labels in
      guard let labels = labels.baseAddress else { return }
      func run(_ table: UnsafePointer<Int32>?) {
        kernels.mixture(
          rule,
          MixtureInput(
            scores: scores, answers: answers, table: table, slots: slots, labels: labels,
            batchRows: batchRows),
          report: report, distribution: distribution, gradients: gradients, memory: memory)
      }
      if let table {
        table.experts.withUnsafeBufferPointer { run($0.baseAddress) }
      } else {
        run(nil)
      }
    }
    workspace.release(to: mark)
  }
}
