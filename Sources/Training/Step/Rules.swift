package import KernelInterface
package import MoE

/// Which experts run and how their answers are combined, in training or in evaluation.
package struct StepRule: Sendable {
  /// The experts that a row's mixture takes.
  package let selection: any Selection
  package let mixture: MixtureRule
  package let scorer: any Scorer

  /// What of it the layer needs.
  package var layer: LayerRule { LayerRule(selection: selection, scorer: scorer, layout: mixture.layout) }
  /// The experts that a row is sent to.
  package var routing: any Selection { layer.routing }

  /// - Parameters:
  ///   - training: stochastic trains every expert with the loss of Jacobs et al. and evaluates the arg-max expert alone.
  package init(_ configuration: Configuration, gate: GateRequest, training: Bool) {
    let experts = gate.experts
    var selection: any Selection = AllExperts()
    var weights = MixtureRule.Weights.full
    var jacobs = false
    func chooseOne() {
      guard experts > 1 else { return }
      selection = TopK(1)
      weights = .renormalised
    }
    let design = configuration.gateDesign
    if design.choosesOne {
      chooseOne()
    } else {
      switch configuration.combine {
      case .expectation:
        break
      case .stochastic:
        jacobs = training
        if !training { chooseOne() }
      case .topK
      where configuration.topK < experts || configuration.noise > 0 || configuration.capacity != nil:
        selection = configuration.topSelection
        weights = configuration.topKWeights == .full ? .full : .renormalised
      case .topK:
        // All experts selected: the softmax over the selected logits is the full one.
        break
      }
    }
    let scorer = design.makeScorer(gate, training: training)
    self.selection = selection
    self.scorer = scorer
    mixture = MixtureRule(
      experts: experts, layout: AnswerLayout(classes: gate.classes, hidden: scorer.hiddenFeatures),
      temperature: Float(configuration.temperature),
      expertTemperature: training ? configuration.expertTemperature.map { Float($0) } : nil,
      weights: weights, jacobs: jacobs, everyExpertAnswers: scorer.reasonForAll != nil)
  }
}
