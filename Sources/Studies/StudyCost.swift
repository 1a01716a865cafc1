internal import DataSets
internal import MoE
internal import Networks
internal import Training

/// What a run computes, as far as it can be said before it is run.
enum StudyCost {
  /// FLOPs of training: every expert and the gate on every sample of every epoch, forward and backward. Without the
  /// regularisers and the evaluations, and for a top-k gate an upper bound.
  package static func flops(_ configuration: Configuration, _ data: DataSet) -> Double {
    guard let outline = try? ModelOutline(configuration, size: DataSetSize(data)) else { return 0 }
    let ofLayer = outline.expertFlops * outline.experts + outline.gateFlops
    let perSample = outline.trunkFlops.forward + outline.trunkFlops.backward + outline.layers * ofLayer
    let samples = Double(data.train.count) * (1 - configuration.validationFraction)
    return Double(perSample) * samples * Double(configuration.epochs)
  }
}
