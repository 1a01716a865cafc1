/// Which experts run and how their answers are combined, in training or in evaluation.
package struct StepRule: Equatable, Sendable {
  package let selection: Selection
  package let mixture: MixtureRule

  /// - Parameters:
  ///   - experts: E; 1 for the single model.
  ///   - training: stochastic trains every expert with the loss of Jacobs et al. and evaluates the arg-max expert alone.
  package init(_ configuration: Configuration, experts: Int, classes: Int, training: Bool) {
    var selection = Selection.all
    var weights = MixtureRule.Weights.full
    var jacobs = false
    switch configuration.combine {
    case .expectation:
      break
    case .stochastic:
      jacobs = training
      if !training, experts > 1 {
        selection = .top(1)
        weights = .renormalised
      }
    case .topK where configuration.topK < experts:
      selection = .top(configuration.topK)
      weights = configuration.topKWeights == .full ? .full : .renormalised
    case .topK:
      // All experts selected: the softmax over the selected logits is the full one.
      break
    }
    self.selection = selection
    mixture = MixtureRule(
      experts: experts, classes: classes, temperature: Float(configuration.temperature), weights: weights,
      jacobs: jacobs)
  }
}
