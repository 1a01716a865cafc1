public import KernelInterface
public import Numerics

/// The cross-entropy of logits z with labels, −ln softmax(z)_label, as torch.nn.functional.cross_entropy has it: the mean
/// over the rows of the whole batch.
public enum CrossEntropy {
  /// What each block adds to the mean, and the gradients of the logits, (softmax(z) − onehot)/B.
  ///
  /// It is arithmetic of single rows; their sum runs over a block alone, ascending. Sums of blocks are added along the tree:
  /// `Communicator.reduceBlocks(_:count:length:)` of `MoE` takes the result, with a length of 1.
  /// - Parameters:
  ///   - logits: per block, [classes][rows].
  ///   - labels: per block one per row, each below the number of classes.
  ///   - batchRows: B, the global number of rows.
  ///   - gradients: per block, [classes][rows], overwritten, zero behind the last row; nil: not wanted.
  ///   - workspace: memory for the time of the call.
  /// - Returns: per block, Σ −ln softmax(z)_label / B over its rows, in nats.
  public static func perBlock(
    _ logits: [FeatureMap], labels: [[Int]], batchRows: Int, into gradients: [FeatureMap]?,
    in workspace: Workspace
  ) -> [[Double]] {
    precondition(logits.map(\.rows) == labels.map(\.count), "every row has a label")
    return logits.indices.map { block in
      [add(logits[block], labels[block], batchRows, into: gradients?[block], in: workspace)]
    }
  }

  private static func add(
    _ logits: FeatureMap, _ labels: [Int], _ batchRows: Int, into gradient: FeatureMap?,
    in workspace: Workspace
  ) -> Double {
    let mark = workspace.mark
    defer { workspace.release(to: mark) }
    let logs = workspace.map(features: logits.features, rows: logits.rows)
    kernels.logSoftmax(logits, scale: 1, into: logs)
    gradient?.clear()
    let share = 1 / Float(batchRows)
    var sum = 0.0
    for (row, label) in labels.enumerated() {
      precondition(
        (0..<logits.features).contains(label), "label \(label) is none of \(logits.features) classes")
      sum -= Double(logs[label][row])
      gradient?[label][row] = -share
    }
    if let gradient {
      kernels.logSoftmaxGradient(gradient, logProbabilities: logs)
      gradient.clearPadding()
    }
    return sum / Double(batchRows)
  }
}
