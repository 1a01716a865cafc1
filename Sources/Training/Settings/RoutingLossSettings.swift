package import MoE

/// A loss of the gate's choice, as the settings have it.
struct RoutingLossSetting: Sendable {
  /// The settings of its weights; the loss is taken where one is not 0.
  let weights: [(key: String, field: Setting.Field<Double>)]
  /// Settings that are about this loss alone.
  let details: [String]
  /// Whether it says nothing where every expert takes every row.
  let needsChoice: Bool
  let make: @Sendable (Configuration) -> any RoutingLoss

  init(
    _ weights: [(key: String, field: Setting.Field<Double>)], details: [String] = [],
    needsChoice: Bool = false,
    make: @escaping @Sendable (Configuration) -> any RoutingLoss
  ) {
    self.weights = weights
    self.details = details
    self.needsChoice = needsChoice
    self.make = make
  }

  /// All that are named by settings: the one list of losses, in the order in which they are added and reported.
  static let all: [RoutingLossSetting] = [
    RoutingLossSetting([("importance", \.importance)]) { ImportanceLoss(weight: $0.importance) },
    RoutingLossSetting(
      [("similarity", \.similarity), ("dissimilarity", \.dissimilarity)],
      details: ["similarity-scaling", "similarity-distance", "similarity-scale"]
    ) {
      SimilarityLoss(
        similarity: $0.similarity, dissimilarity: $0.dissimilarity, scaling: $0.similarityScaling,
        distances: SampleDistances(
          squared: $0.similarityDistance == .squaredEuclidean, scale: $0.resolvedSimilarityScale))
    },
    RoutingLossSetting([("z-loss", \.zLoss)]) { RouterZLoss(weight: $0.zLoss) },
    RoutingLossSetting([("load-balance", \.loadBalance)], needsChoice: true) {
      LoadBalanceLoss(weight: $0.loadBalance)
    },
  ]

  /// `--similarity or --dissimilarity`
  var options: String { weights.map { "--\($0.key)" }.joined(separator: " or ") }

  func isTaken(_ configuration: Configuration) -> Bool {
    weights.contains { configuration[keyPath: $0.field] != 0 }
  }
}

extension Configuration {
  /// The losses of the gate's choice that have a weight.
  package var routingLosses: [any RoutingLoss] {
    RoutingLossSetting.all.filter { $0.isTaken(self) }.map { $0.make(self) }
  }

  /// Takes the weight of every such loss away.
  package mutating func dropRoutingLosses() {
    for (_, field) in RoutingLossSetting.all.flatMap(\.weights) { self[keyPath: field] = 0 }
  }

  /// The settings of weights.
  package static var routingLossWeights: [String] { RoutingLossSetting.all.flatMap(\.weights).map(\.key) }
  /// All settings that are about such a loss alone.
  static var routingLossKeys: [String] { routingLossWeights + RoutingLossSetting.all.flatMap(\.details) }
}
