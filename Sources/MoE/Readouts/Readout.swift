public import KernelInterface
public import Numerics

/// What a model makes of a layer's slots, row by row: outputs, and gradients of slots and scores.
///
/// Only arithmetic of a row by itself is allowed, because the rows beside it depend on the number of ranks. Adding a
/// readout: one file with a conformance.
public protocol Readout {
  /// Values of a row that it makes; unless it says otherwise, as many as an expert gives.
  ///
  /// - Parameter layout: of an expert's answer.
  func features(_ layout: AnswerLayout) -> Int

  /// Writes the outputs, [features][rows].
  func forward(_ slots: SlotView, into outputs: FeatureMap, in workspace: Workspace)

  /// Writes the gradients of slots and scores from those of the outputs.
  ///
  /// - Parameters:
  ///   - slots: those of the forward pass.
  ///   - outputs: [features][rows], the gradients of the outputs.
  ///   - gradients: those of the scores are overwritten, and of the slots where they are wanted.
  ///   - workspace: memory for the time of the call.
  func backward(
    _ slots: SlotView, outputs: FeatureMap, into gradients: MixtureGradients, in workspace: Workspace)
}

extension Readout {
  public func features(_ layout: AnswerLayout) -> Int { layout.classes }
}

/// The scores and answers of a shard's rows.
public struct SlotView {
  /// [experts][rows]: of every expert, whether it was chosen or not.
  public let scores: FeatureMap
  /// [slots · width][rows], see `AnswerLayout` of `KernelInterface`.
  public let answers: FeatureMap
  /// What an answer consists of.
  public let layout: AnswerLayout
  /// The experts of the slots; nil where slot = expert.
  public let table: SlotTable?

  /// Scores and answers of the same rows; nothing is copied.
  public init(scores: FeatureMap, answers: FeatureMap, layout: AnswerLayout, table: SlotTable?) {
    self.scores = scores
    self.answers = answers
    self.layout = layout
    self.table = table
  }

  /// Slots that hold answers.
  public var slots: Int { layout.width == 0 ? 0 : answers.features / layout.width }

  /// The part of a map like the answers that belongs to a slot, [outputs of an expert][rows]: what the expert gave, or the
  /// gradient of it, without its hidden values. In an empty slot there are zeros.
  ///
  /// - Parameters:
  ///   - slot: from 0.
  ///   - map: ``answers``, or their gradients.
  public func outputs(_ slot: Int, of map: FeatureMap) -> FeatureMap {
    map.part(slot * layout.width..<slot * layout.width + layout.classes)
  }
}
