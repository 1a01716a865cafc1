package import KernelInterface
package import MoE
internal import Networks
internal import Numerics

/// Which experts run and how their answers are combined, in training or in evaluation.
package struct StepRule: Sendable {
  /// The experts that a row's mixture takes.
  package let selection: any Selection
  package let mixture: MixtureRule
  /// What an expert answers.
  package let layout: AnswerLayout
  /// What a layer inside a deeper network makes of its slots.
  package let readout: any Readout & Sendable
  package let scorer: any Scorer

  /// What of it the layer needs.
  package var layer: LayerRule { LayerRule(selection: selection, scorer: scorer, layout: layout) }
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
    let answers = AnswerLayout(
      classes: gate.family.isDeep ? gate.input.pixels : gate.classes, hidden: scorer.hiddenFeatures)
    layout = answers
    readout = LinearCombine(
      weights == .full ? .full : .renormalised, temperature: Float(configuration.temperature))
    // Behind a head there is one answer, that of the whole model.
    if gate.family.isDeep {
      mixture = MixtureRule(
        experts: 1, layout: AnswerLayout(classes: gate.classes, hidden: 0), temperature: 1, weights: .full,
        jacobs: false, everyExpertAnswers: false)
      return
    }
    mixture = MixtureRule(
      experts: experts, layout: answers,
      temperature: Float(configuration.temperature),
      expertTemperature: training ? configuration.expertTemperature.map { Float($0) } : nil,
      weights: weights, jacobs: jacobs, everyExpertAnswers: scorer.reasonForAll != nil)
  }
}
