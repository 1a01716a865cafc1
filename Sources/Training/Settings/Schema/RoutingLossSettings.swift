internal import Files
package import MoE

/// A loss of the gate's choice, as the settings have it.
struct RoutingLossSetting: Sendable {
  /// The settings of its weights; the loss is taken where one is not 0.
  let weights: [(key: String, field: Setting.Field<Double>)]
  /// The setting of a weight that has no field of its own in ``Configuration``.
  let setting: Setting?
  let make: @Sendable (Configuration) -> any RoutingLoss

  /// A loss whose weights are fields, with further settings beside them.
  init(
    _ weights: [(key: String, field: Setting.Field<Double>)],
    make: @escaping @Sendable (Configuration) -> any RoutingLoss
  ) {
    self.weights = weights
    setting = nil
    self.make = make
  }

  /// A loss with one weight, all in one place: the setting's name and help, and how the loss is made.
  ///
  /// - Parameter conditions: under which it makes a difference, beside those of every loss.
  init(
    _ key: String, _ help: Message, _ conditions: Setting.Condition...,
    make: @escaping @Sendable (Double) -> any RoutingLoss
  ) {
    let field: Setting.Field<Double> = \Configuration[weight: key]
    weights = [(key, field)]
    setting = Setting.real(
      key, field, .values, where: { $0 >= 0 }, expected: "a number, at least 0", help
    ).addedLater().applies([.toGateLoss] + conditions)
    self.make = { make($0[weight: key]) }
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
    RoutingLossSetting(
      "z-loss", "Weight of the router z-loss, the mean of (ln Σ exp s)² of the gate's scores s: small scores."
    ) { RouterZLoss(weight: $0) },
    RoutingLossSetting(
      "load-balance",
      """
      Weight of the load-balancing loss E·Σ f·P of the experts' shares f of the choices and means P of p, for \(setting: "combine") \
      top-k.
      """, .toChosenExperts
    ) { LoadBalanceLoss(weight: $0) },
  ]

  func isTaken(_ configuration: Configuration) -> Bool {
    weights.contains { configuration[keyPath: $0.field] != 0 }
  }
}

extension Configuration {
  /// The weight of a loss of the gate's choice that has no field of its own, by the name of its setting; 0: not taken.
  public subscript(weight key: String) -> Double {
    get { lossWeights[key] ?? 0 }
    set { lossWeights[key] = newValue == 0 ? nil : newValue }
  }

  /// w of w·mean_x (ln Σ_e exp s_e)², the router z-loss.
  public var zLoss: Double {
    get { self[weight: "z-loss"] }
    set { self[weight: "z-loss"] = newValue }
  }

  /// w of w·E·Σ_e f_e P_e, the load-balancing loss.
  public var loadBalance: Double {
    get { self[weight: "load-balance"] }
    set { self[weight: "load-balance"] = newValue }
  }

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
