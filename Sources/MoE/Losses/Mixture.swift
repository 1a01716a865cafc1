internal import CLanes

/// How a row's experts become the model's output and loss.
package struct MixtureRule: Equatable, Sendable {
  package enum Weights: Equatable, Sendable {
    /// p of the full softmax; the mass of experts that did not run predicts nothing (1/C per class).
    case full
    /// A softmax over the selected logits.
    case renormalised
  }

  package let experts: Int
  package let layout: AnswerLayout
  /// T of p = softmax(score/T).
  package var temperature: Float
  /// T of the loss that the experts are trained with.
  package let expertTemperature: Float
  package let weights: Weights
  /// The loss of Jacobs et al. 1991, −ln Σ_e p_e exp(−½ CE_e); predictions are the arg-max expert's.
  package let jacobs: Bool
  /// Every expert answered, so that answers lie by expert, whichever of them the row's mixture takes.
  package let everyExpertAnswers: Bool

  package init(
    experts: Int, layout: AnswerLayout, temperature: Float, expertTemperature: Float? = nil,
    weights: Weights, jacobs: Bool, everyExpertAnswers: Bool
  ) {
    self.experts = experts
    self.layout = layout
    self.temperature = temperature
    self.expertTemperature = expertTemperature ?? temperature
    self.weights = weights
    self.jacobs = jacobs
    self.everyExpertAnswers = everyExpertAnswers
  }

  package var classes: Int { layout.classes }
  /// Gate and experts have losses of their own, each with the other detached.
  package var hasTwoTemperatures: Bool { expertTemperature != temperature }
}

/// What a shard says to rank 0 about a row.
package enum RowReport: Int, CaseIterable {
  /// What training minimises.
  case loss
  /// −ln of the label's probability.
  case crossEntropy
  /// The model's class; ties to the lowest.
  case prediction
  /// The model's probability of that class.
  case confidence
  /// The class that the arg-max expert itself predicts.
  case chosenClass
  /// How many classes come before the label.
  case labelRank
}

/// The rows of one shard, ready for their mixture.
package struct MixtureInput {
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
}

/// Where the gradients of the mixture go.
package struct MixtureGradients {
  /// [experts][rows], of the gate's loss and of the experts'; the same map where they do not differ.
  package let gateScores: FeatureMap
  package let expertScores: FeatureMap
  /// Like the answers; nil where the experts are frozen.
  package let answers: FeatureMap?
}

/// Mixture, loss and gradients of the rows of one shard, in log space and by per-row arithmetic alone.
///
/// With r_e = p_e y_e,label / m_label: ∂L/∂s_e = (p_e − r_e)/(T·B), ∂L/∂ln y_e,label = −r_e/B.
/// - Parameters:
///   - report: [reports][rows], see ``RowReport``.
///   - gradients: nil in evaluation.
package func mixture(
  _ rule: MixtureRule, _ input: MixtureInput, report: FeatureMap, gradients: MixtureGradients?,
  in workspace: Workspace
) {
  let mark = workspace.mark
  defer { workspace.release(to: mark) }
  let slots = input.table?.slots ?? rule.experts
  var lanes = MixtureLanes(rule, slots: slots, in: workspace)
  var atExperts = rule
  atExperts.temperature = rule.expertTemperature
  var expertLanes = rule.hasTwoTemperatures ? MixtureLanes(atExperts, slots: slots, in: workspace) : nil
  gradients?.answers?.clear()
  var column = 0
  while column < input.scores.rows {
    lanes.load(input, column: column)
    let likelihood = lanes.likelihood()
    lanes_store(report[RowReport.loss.rawValue] + column, -likelihood)
    if let gradients {
      if expertLanes != nil {
        lanes.gradients(likelihood, input, scores: gradients.gateScores, answers: nil)
        expertLanes!.load(input, column: column)
        expertLanes!.gradients(
          expertLanes!.likelihood(), input, scores: gradients.expertScores, answers: gradients.answers)
      } else {
        lanes.gradients(likelihood, input, scores: gradients.gateScores, answers: gradients.answers)
      }
    }
    lanes.predict(input, report: report)
    column += laneCount
  }
}

extension MixtureRule {
  /// Bytes of workspace that ``mixture(_:_:report:gradients:in:)`` takes.
  package func workspaceBytes(slots: Int) -> Int {
    let each = MixtureLanes.floats(self, slots: slots)
    return (hasTwoTemperatures ? 2 : 1) * (Workspace.bytes(floats: each) + 5 * 64)
  }
}
