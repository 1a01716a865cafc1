package import MoE

/// A loss of the gate's choice, as the settings have it.
struct RoutingLossSetting: Sendable {
  /// The settings of its weights; the loss is taken where one is not 0.
  let weights: [(key: String, field: Setting.Field<Double>)]
  let make: @Sendable (Configuration) -> any RoutingLoss

  init(
    _ weights: [(key: String, field: Setting.Field<Double>)],
    make: @escaping @Sendable (Configuration) -> any RoutingLoss
  ) {
    self.weights = weights
    self.make = make
  }

  /// All that are named by settings: the one list of losses, in the order in which they are added and reported.
  static let all: [RoutingLossSetting] = [
    RoutingLossSetting([("importance", \.importance)]) { ImportanceLoss(weight: $0.importance) },
    RoutingLossSetting([("similarity", \.similarity), ("dissimilarity", \.dissimilarity)]) {
      SimilarityLoss(
        similarity: $0.similarity, dissimilarity: $0.dissimilarity, scaling: $0.similarityScaling,
        distances: SampleDistances(
          squared: $0.similarityDistance == .squaredEuclidean, scale: $0.resolvedSimilarityScale))
    },
    RoutingLossSetting([("z-loss", \.zLoss)]) { RouterZLoss(weight: $0.zLoss) },
    RoutingLossSetting([("load-balance", \.loadBalance)]) {
      LoadBalanceLoss(weight: $0.loadBalance)
    },
  ]

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
}
