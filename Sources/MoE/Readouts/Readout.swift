package import KernelInterface
package import Numerics

/// What a model makes of a layer's slots, row by row: outputs, and gradients of slots and scores.
///
/// Only arithmetic of a row by itself is allowed, because the rows beside it depend on the number of ranks. Adding a
/// readout: one file with a conformance.
package protocol Readout {
  /// Writes the outputs, [features][rows].
  func forward(_ slots: SlotView, into outputs: FeatureMap, in workspace: Workspace)

  /// Writes the gradients of slots and scores from those of the outputs.
  ///
  /// - Parameters:
  ///   - outputs: [features][rows]
  ///   - gradients: those of the scores are overwritten, and of the slots where they are wanted.
  func backward(
    _ slots: SlotView, outputs: FeatureMap, into gradients: MixtureGradients, in workspace: Workspace)
}

/// The scores and answers of a shard's rows.
package struct SlotView {
  /// [experts][rows]: of every expert, whether it was chosen or not.
  package let scores: FeatureMap
  /// [slots · width][rows], see ``AnswerLayout``.
  package let answers: FeatureMap
  package let layout: AnswerLayout
  /// The experts of the slots; nil where slot = expert.
  package let table: SlotTable?

  package init(scores: FeatureMap, answers: FeatureMap, layout: AnswerLayout, table: SlotTable?) {
    self.scores = scores
    self.answers = answers
    self.layout = layout
    self.table = table
  }

  /// Slots that hold answers.
  package var slots: Int { layout.width == 0 ? 0 : answers.features / layout.width }

  /// What an expert gave, without its hidden values.
  func outputs(_ slot: Int, of map: FeatureMap) -> FeatureMap {
    map.part(slot * layout.width..<slot * layout.width + layout.classes)
  }
}
