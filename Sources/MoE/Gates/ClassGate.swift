internal import KernelInterface

/// A decomposition made by hand (arXiv 2302.14703, section 3): every sample goes to the expert of its class. It pre-trains
/// experts on given classes; since it reads labels, its figures are those of an oracle.
struct ClassGateDesign: GateDesign {
  var choosesOne: Bool { true }
  var isOracle: Bool { true }

  func makeScorer(_ request: GateRequest, training: Bool) -> any Scorer {
    ClassScorer(expertOfClass: request.expertOfClass ?? [])
  }
}

struct ClassScorer: Scorer {
  let expertOfClass: [Int]
  /// So far below 0 that its softmax is exactly 0.
  private static let never = Float(-1e4)

  func score(_ rows: ShardRows, into scores: FeatureMap) {
    for expert in 0..<scores.features {
      let line = scores[expert]
      for column in 0..<scores.columns { line[column] = ClassScorer.never }
    }
    for row in 0..<scores.rows { scores[expertOfClass[rows.label(row)]][row] = 0 }
  }
}
