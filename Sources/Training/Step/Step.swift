package import DataSets
package import KernelInterface
package import MoE
package import Networks

/// One training step of a model on images, and the forward half of it for evaluation.
///
/// Every rank calls ``run(_:of:mode:word:)`` for the same batch; all ranks make the same sequence of collectives, whatever
/// their counts.
package protocol Step: AnyObject {
  /// - Parameters:
  ///   - samples: the batch: the sample of every row.
  ///   - epoch: counted from 0; a key of random draws in training.
  ///   - word: what this rank has to say beside the data: rank 0 to all, every rank to rank 0.
  func run(
    _ samples: ArraySlice<Int32>, of images: ImageView, epoch: Int, mode: StepMode, word: Float
  ) throws -> StepOutcome
}

package enum StepMode {
  case training(UpdatePoint)
  case evaluation
}

/// What rank 0 knows of a batch after its step.
package struct StepOutcome {
  /// [E][B] of every layer, the first first; empty on other ranks.
  package let scores: [FeatureMap]
  /// [RowReport][B], nil on other ranks.
  package let report: FeatureMap?
  /// What the losses of the gates' choices said, of all layers together, on rank 0 in training.
  package let losses: [NamedValue]
  /// Rank 0's word of this step, on every rank.
  package let word: Float
  /// The largest word of all ranks, on rank 0.
  package let raised: Float
  /// On rank 0 of a step that tells details; nil elsewhere.
  package var details: BatchDetails?
}
