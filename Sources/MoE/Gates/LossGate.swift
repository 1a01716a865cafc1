internal import KernelInterface

/// The loss gate of the authors' follow-up work: a network whose output g_e predicts ln y_e,label, by the absolute error.
/// The expert with the largest g_e answers and is trained by its own cross-entropy; the gate sees experts detached.
///
/// Training runs every expert, for the gate's targets; evaluation runs the chosen one alone.
struct LossGateDesign: GateDesign {
  private let network = SoftmaxGateDesign()
  var choosesOne: Bool { true }

  func size(_ request: GateRequest) -> GateSize { network.size(request) }
  func makeGate(_ request: GateRequest) -> (any Gate)? { network.makeGate(request) }

  func makeScorer(_ request: GateRequest, training: Bool) -> any Scorer {
    training
      ? LossScorer(experts: request.experts) : network.makeScorer(request, training: training)
  }
}

struct LossScorer: Scorer {
  let experts: Int
  var messageFeatures: Int { experts }
  var reasonForAll: String? {
    "the gate learns from the loss of every expert, and chooses one when it is evaluated"
  }
  var scoresAreMessage: Bool { true }

  func score(_ rows: ShardRows, into scores: FeatureMap) {
    MessageScorer(messageFeatures: experts).score(rows, into: scores)
  }

  /// ∂/∂g_e of Σ_e mean_x |g_e − ln y_e,label| is the sign of the difference, over B.
  func backward(_ rows: ShardRows, _ gradients: ScoreGradients, into result: ScorerGradients) {
    let share = 1 / Float(gradients.batchRows)
    for row in 0..<rows.signal.rows {
      let label = rows.label(row)
      for expert in 0..<experts {
        let target = rows.answers[rows.layout.feature(slot: expert, class: label)][row]
        let difference = rows.message[expert][row] - target
        result.message[expert][row] = difference > 0 ? share : difference < 0 ? -share : 0
        result.losses[row] += difference.magnitude
      }
    }
  }
}
