internal import DataSets
internal import MoE
internal import Networks
internal import Training

/// What a run computes, as far as it can be said before it is run.
enum StudyCost {
  /// FLOPs of training: every expert and the gate on every sample of every epoch, forward and backward. Without the
  /// regularisers and the evaluations, and for a top-k gate an upper bound.
  package static func flops(_ configuration: Configuration, _ data: DataSet) -> Double {
    guard let family = NetworkFamily.named(configuration.model) else { return 0 }
    let expert = family.expert(input: data.train.shape, classes: data.classes)
    var perSample = expert.forwardFlops + expert.backwardFlops
    if configuration.gate != .none {
      let gate = family.gate(input: data.train.shape, experts: configuration.experts)
      perSample = perSample * configuration.experts + gate.forwardFlops + gate.backwardFlops
    }
    let samples = Double(data.train.count) * (1 - configuration.validationFraction)
    return Double(perSample) * samples * Double(configuration.epochs)
  }
}
