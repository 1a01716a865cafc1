package import KernelInterface
internal import MoE
internal import Numerics

/// What an expert did for a row.
public enum ExpertPart: Int, Sendable {
  /// It did not run.
  case idle
  /// It ran, because the gate's choice needs its answer, and the mixture leaves the answer out.
  case ran
  /// It ran, and the mixture takes its answer.
  case mixed
}

/// What rank 0 knows of a batch beyond its report, where somebody asks. Valid until the next batch.
package struct BatchDetails {
  /// [C][B] the model's probability of every class.
  package let distribution: FeatureMap
  /// [E][B] of every layer: the raw values of ``ExpertPart``.
  package let parts: [FeatureMap]
  /// [E · C][B] every expert's probability of every class, 0 where it did not run; nil where experts answer hidden rows.
  package let answers: FeatureMap?
}

/// How details ride along with a row's report: distribution, the experts' parts in the last layer, their answers.
struct DetailLayout {
  let classes: Int
  let experts: Int
  /// Whether experts answer for the classes.
  let hasAnswers: Bool

  /// Values of a row.
  var features: Int { classes + experts + (hasAnswers ? experts * classes : 0) }

  /// The three kinds in a map of ``features`` features.
  func split(_ map: FeatureMap) -> (distribution: FeatureMap, parts: FeatureMap, answers: FeatureMap?) {
    let (ofParts, ofAnswers) = (classes, classes + experts)
    return (
      map.part(0..<ofParts), map.part(ofParts..<ofAnswers),
      hasAnswers ? map.part(ofAnswers..<features) : nil
    )
  }
}

extension LayerPass {
  /// Writes what every expert did for the rows of this shard.
  ///
  /// - Parameters:
  ///   - allRun: whether every expert runs, whatever is selected.
  ///   - parts: [E][rows], overwritten.
  func writeParts(allRun: Bool, into parts: FeatureMap) {
    parts.clear()
    for expert in 0..<parts.features where allRun || table == nil {
      let part: ExpertPart = table == nil ? .mixed : .ran
      for row in 0..<parts.rows { parts[expert][row] = Float(part.rawValue) }
    }
    guard let table else { return }
    for row in 0..<table.rows {
      for slot in 0..<table.slots where table[row, slot] != SlotTable.empty {
        parts[table[row, slot]][row] = Float(ExpertPart.mixed.rawValue)
      }
    }
  }

  /// Writes the probabilities that the experts gave to the classes, for the rows of this shard.
  ///
  /// - Parameters:
  ///   - allRun: as for ``writeParts(allRun:into:)``; answers lie by expert then.
  ///   - layout: of an answer.
  ///   - answers: [E · C][rows], overwritten.
  func writeAnswers(
    allRun: Bool, _ layout: AnswerLayout, into answers: FeatureMap, in workspace: Workspace
  ) {
    answers.clear()
    let (classes, rows) = (layout.classes, answers.rows)
    let byExpert = allRun || table == nil
    let mark = workspace.mark
    let values = workspace.floats(max(rows, 1))
    for slot in 0..<shard.answers.features / layout.width {
      for c in 0..<classes {
        let logarithms = shard.answers[layout.feature(slot: slot, class: c)]
        if byExpert {
          VectorMap.exp(logarithms, into: answers[slot * classes + c], count: rows)
          continue
        }
        VectorMap.exp(logarithms, into: values, count: rows)
        for row in 0..<rows {
          guard let expert = table?[row, slot], expert != SlotTable.empty else { continue }
          answers[expert * classes + c][row] = values[row]
        }
      }
    }
    workspace.release(to: mark)
  }
}
