// Facts from the published results of Krishnamurthy, Watkins and Gärtner, "Improving Expert Specialization in Mixture
// of Experts" (arXiv 2302.14703): means and standard deviations over their runs, and the runs that they selected.

/// A mean and, where one is given, a standard deviation.
private func about(_ mean: Double, _ deviation: Double? = nil) -> Spread {
  Spread(mean: mean, deviation: deviation)
}

private func row(
  _ method: String, at setting: StudySetting? = nil, error: Spread? = nil, topFive: Spread? = nil,
  trainingLoss: Spread? = nil, information: Spread? = nil, sample: Spread? = nil, usage: Spread? = nil,
  selected: StudyFigures = [:]
) -> PublishedRow {
  var means: [StudyMetric: Spread] = [:]
  means[.error] = error
  means[.topFiveError] = topFive
  means[.trainingLoss] = trainingLoss
  means[.mutualInformation] = information
  means[.sampleEntropy] = sample
  means[.usageEntropy] = usage
  return PublishedRow(method: method, setting: setting, means: means, selected: selected)
}

private func selection(
  _ error: Double, _ information: Double? = nil, _ sample: Double? = nil, _ usage: Double? = nil
) -> StudyFigures {
  var figures: StudyFigures = [.error: error]
  figures[.mutualInformation] = information
  figures[.sampleEntropy] = sample
  figures[.usageEntropy] = usage
  return figures
}

/// The figures of the paper's tables.
package enum PublishedFigures {
  package static let mnist: [PublishedRow] = {
    let weight = StudySetting("similarity", "1e-6")
    return [
      row("single", error: about(0.134, 0.071)),
      row(
        "original", error: about(0.044, 0.009), information: about(1.61, 0.40), sample: about(0.136, 0.100),
        usage: about(1.84, 0.24)),
      row(
        "original-importance", error: about(0.039, 0.008), information: about(1.92, 0.26),
        sample: about(0.184, 0.126), usage: about(2.31, 0.03)),
      row(
        "original-similarity", at: weight, error: about(0.038, 0.007), information: about(2.00),
        sample: about(0.138), usage: about(2.30)),
      row(
        "attentive", error: about(0.043, 0.006), information: about(1.85, 0.22), sample: about(0.060, 0.027),
        usage: about(1.96, 0.18)),
      row(
        "attentive-importance", error: about(0.036, 0.005), information: about(2.21, 0.10),
        sample: about(0.068, 0.032), usage: about(2.30, 0.04)),
      row(
        "attentive-similarity", at: weight, error: about(0.036, 0.004), information: about(2.21),
        sample: about(0.055), usage: about(2.28)),
      row(
        "distilled-importance", error: about(0.036, 0.007), information: about(2.20), sample: about(0.065),
        usage: about(2.29)),
      row(
        "distilled-similarity", error: about(0.037, 0.007), information: about(2.18), sample: about(0.064),
        usage: about(2.30)),
    ]
  }()

  package static let fashionMNIST: [PublishedRow] = [
    row("single", error: about(0.148, 0.012), selected: selection(0.132)),
    row("original", error: about(0.11), selected: selection(0.104, 2.03, 0.081, 2.05)),
    row("original-importance", error: about(0.106, 0.006), selected: selection(0.103, 2.30, 0.172, 2.32)),
    row("original-similarity", error: about(0.107, 0.007), selected: selection(0.095, 2.20, 0.110, 2.23)),
    row("attentive", error: about(0.114, 0.013), selected: selection(0.098, 2.07, 0.114, 2.25)),
    row("attentive-importance", error: about(0.105, 0.007), selected: selection(0.098, 2.23, 0.101, 2.32)),
    row("attentive-similarity", error: about(0.108, 0.008), selected: selection(0.096, 2.30, 0.109, 2.32)),
    row("distilled-importance", error: about(0.102, 0.008), selected: selection(0.087, 2.23, 0.101, 2.32)),
    row("distilled-similarity", error: about(0.106, 0.008), selected: selection(0.089, 2.30, 0.076, 2.32)),
  ]

  package static let cifar100: [PublishedRow] = [
    row("single", error: about(0.471, 0.006), topFive: about(0.179)),
    row(
      "original", error: about(0.469, 0.010), topFive: about(0.180), information: about(0.99, 0.31),
      sample: about(0.409)),
    row(
      "original-importance", error: about(0.492, 0.007), topFive: about(0.197),
      information: about(4.20, 0.03),
      sample: about(1.50)),
    row(
      "original-similarity", at: StudySetting("similarity", "1e-5"), error: about(0.472),
      information: about(1.14), sample: about(0.42)),
    row(
      "original-similarity", at: StudySetting("similarity", "1e-4"), error: about(0.485),
      information: about(2.17), sample: about(0.74)),
    row(
      "original-similarity", at: StudySetting("similarity", "1e-3"), error: about(0.489),
      information: about(3.94), sample: about(1.24)),
    row(
      "attentive", error: about(0.459, 0.006), topFive: about(0.188), information: about(1.80, 0.23),
      sample: about(0.518)),
    row(
      "attentive-importance", error: about(0.449, 0.005), topFive: about(0.188),
      information: about(3.65, 0.06),
      sample: about(1.11)),
    row("distilled-importance", error: about(0.685), selected: selection(0.531)),
    row("small-single", error: about(0.577)),
    row("small-original", error: about(0.523)),
    row("small-original-importance", error: about(0.526)),
    row("small-original-similarity", error: about(0.519)),
    row("small-attentive", error: about(0.505)),
    row("small-attentive-importance", error: about(0.488)),
    row("small-attentive-similarity", error: about(0.499)),
  ]

  /// The preliminary experiment: error, loss, I(E;Y), H_s, H_u. The losses are held against training losses, see
  /// ``Caveats/lossOfTraining``.
  package static let preliminary: [PublishedRow] = [
    figures("mnist-1", 0.09, 0.13, 1.51, 0.24, 1.91),
    figures("mnist-3", 0.12, 0.19, 1.56, 0.24, 1.91),
    figures("mnist-4", 0.08, 0.05, 2.32, 0.11, 2.32),
    figures("combined-1", 0.10, 0.18, 1.75, 0.13, 1.73),
    figures("combined-3", 0.14, 0.28, 1.77, 0.13, 1.82),
    figures("combined-4", 0.10, 0.14, 2.58, 0.21, 2.38),
    figures("fashion-mnist-1", 0.15, 0.23, 1.72, 0.08, 1.84),
    figures("fashion-mnist-4", 0.14, 0.09, 2.32, 0.11, 2.32),
  ]

  private static func figures(
    _ method: String, _ error: Double, _ loss: Double, _ information: Double, _ sample: Double,
    _ usage: Double
  ) -> PublishedRow {
    row(
      method, error: about(error), trainingLoss: about(loss), information: about(information),
      sample: about(sample), usage: about(usage))
  }
}
