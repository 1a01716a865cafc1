extension Configuration {
  /// Experts of the model: 1 for the single model.
  package var modelExperts: Int { gate == .none ? 1 : experts }

  /// What chooses and scores experts; a gate that learns from an attentive one is a kind of its own.
  package var gateDesign: any GateDesign {
    distillFrom != nil && distillLoss == .kl ? DistillationGateDesign() : gate.design
  }

  package var trainsGate: Bool { freeze != .gate }
  package var trainsExperts: Bool { freeze != .experts }

  // MARK: - Distances of the similarity regulariser

  package var isRegularised: Bool { importance > 0 || similarity > 0 || dissimilarity > 0 }

  @Sendable static func isSimilarityScale(_ text: String) -> Bool {
    if ["dataset", "batch-max", "none"].contains(text) { return true }
    guard let value = Double(text) else { return false }
    return value.isFinite && value > 0
  }

  /// The scale as a number; `dataset` must have been resolved by ``resolvingScale(of:)``.
  package var resolvedSimilarityScale: SampleDistances.Scale {
    switch similarityScale {
    case "batch-max": .batchMaximum
    case "none": .fixed(1)
    default: .fixed(Double(similarityScale) ?? 1)
    }
  }

  /// The configuration with a similarity scale that no longer depends on the data: `dataset` as its number.
  public func resolvingScale(of data: DataSet) -> Configuration {
    guard similarity > 0 || dissimilarity > 0, similarityScale == "dataset" else { return self }
    var resolved = self
    let normalisation = Normalisation(
      mean: data.mean, standardDeviation: data.standardDeviation,
      channelPixels: data.train.shape.height * data.train.shape.width)
    resolved.similarityScale = String(
      SampleDistances.mean(of: data.train, first: 1000, normalisation: normalisation))
    return resolved
  }
}
