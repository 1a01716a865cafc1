internal import KernelInterface
internal import Numerics

/// The gate of the authors' follow-up work that looks at the label: the expert with the smallest −log₂ y_label answers, and
/// it alone is trained. It has no parameters; its own figures are those of an oracle.
struct PeekingGateDesign: GateDesign {
  var choosesOne: Bool { true }
  var isOracle: Bool { true }
  var needsEveryExpert: Bool { true }
  func makeScorer(_ request: GateRequest, training: Bool) -> any Scorer { PeekingScorer() }
}

/// The gate of the authors' follow-up work that takes the surest expert: the one whose answer has the smallest entropy, in
/// bits, answers and is trained.
struct LoudestGateDesign: GateDesign {
  var choosesOne: Bool { true }
  var needsEveryExpert: Bool { true }
  func makeScorer(_ request: GateRequest, training: Bool) -> any Scorer { LoudestScorer() }
}

private let choosingNeedsAll = "choosing needs every expert's answer"

/// Bits per nat.
private let log2e = Float(1.442_695_040_888_963_4)

/// log₂ y_e,label, so that softmax(score/T) is the softmin of the expert's loss in bits.
struct PeekingScorer: Scorer {
  var reasonForAll: String? { choosingNeedsAll }

  func score(_ rows: ShardRows, into scores: FeatureMap) {
    for expert in 0..<scores.features {
      for row in 0..<scores.rows {
        let label = rows.label(row)
        scores[expert][row] = rows.answers[rows.layout.feature(slot: expert, class: label)][row] * log2e
      }
      for column in scores.rows..<scores.columns { scores[expert][column] = 0 }
    }
  }
}

/// −H(y_e) in bits.
struct LoudestScorer: Scorer {
  var reasonForAll: String? { choosingNeedsAll }

  func score(_ rows: ShardRows, into scores: FeatureMap) {
    kernels.negativeEntropies(answers: rows.answers, rows.layout, scale: log2e, into: scores)
  }
}
