/// A figure of a run's test set that studies tabulate and compare.
package enum StudyMetric: String, CaseIterable, Sendable {
  case error
  case topFiveError = "top5_error"
  /// Cross-entropy in nats, without regularisers.
  case loss = "cross_entropy"
  /// I(E;Y) in bits, Y being the chosen expert's own answer, as published.
  case mutualInformation = "mutual_information"
  case sampleEntropy = "sample_entropy"
  case usageEntropy = "usage_entropy"

  /// The heading of its column.
  package var heading: String {
    switch self {
    case .error: "test error"
    case .topFiveError: "top-5 error"
    case .loss: "loss"
    case .mutualInformation: "I(E;Y)"
    case .sampleEntropy: "H_s"
    case .usageEntropy: "H_u"
    }
  }
}

/// The figures of one run, by metric; what a model does not have is missing.
package typealias StudyFigures = [StudyMetric: Double]

extension [StudyMetric: Double] {
  /// The figures in a line of `metrics.jsonl`, or in any object with its keys.
  init(_ json: JSONValue) {
    self.init()
    for metric in StudyMetric.allCases {
      if let value = json[metric.rawValue]?.numberValue { self[metric] = value }
    }
  }
}
