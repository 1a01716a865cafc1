internal import Files

/// A figure of a run that studies tabulate and compare; of its test set unless it says otherwise.
package enum StudyMetric: String, CaseIterable, Sendable {
  case error
  case topFiveError = "top5_error"
  /// Cross-entropy in nats, without regularisers.
  case loss = "cross_entropy"
  /// The same over the last epoch of training, each batch before its step; it chose the step's weights and is no measure
  /// of how good a model is.
  case trainingLoss = "training_cross_entropy"
  /// I(E;Y) in bits, Y being the chosen expert's own answer, as published.
  case mutualInformation = "mutual_information"
  case sampleEntropy = "sample_entropy"
  case usageEntropy = "usage_entropy"

  /// The heading of its column.
  package var heading: String {
    switch self {
    case .error: "test error"
    case .topFiveError: "top-5 error"
    case .loss: "test loss"
    case .trainingLoss: "training loss"
    case .mutualInformation: "I(E;Y)"
    case .sampleEntropy: "H_s"
    case .usageEntropy: "H_u"
    }
  }

  /// The heading of the published figures that are held against it. The paper does not say what its losses are of.
  package var publishedHeading: String { self == .trainingLoss ? "published loss" : "published \(heading)" }

  /// The figures of a test set.
  package static let ofTestSet = allCases.filter { $0 != .trainingLoss }
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
