package import DataSets
package import Dist
internal import KernelInterface
package import MoE
package import Networks
package import Numerics

/// The model as one rank holds it: the mixture layers, and a copy of what is in front of them and behind.
package final class ModelParts {
  package let outline: ModelOutline
  package let input: ImageShape
  package let classes: Int
  /// Whether there is a choice between experts; false for the single model.
  package let hasGate: Bool
  /// The mixture layers, at least one.
  package let layers: [LayerParts]
  /// What is in front of the layers, on every rank for its shard; nil: they take the images.
  package let trunk: (any Module)?
  /// What makes logits of what the last layer gives; nil: its experts answer for the classes.
  package let head: (any Module)?
  /// Where trunk and head work.
  package let base: ReplicatedPlace
  /// Works on blocks and experts.
  package let team: ThreadTeam
  /// Whether gradients are taken; false in evaluation.
  package let trainsGate: Bool
  package let trainsExperts: Bool
  package let trainsTrunk: Bool
  package let optimiser: any Optimiser
  /// The largest norm of the gradients; nil: any.
  let clipNorm: Double?
  let communicator: any Communicator
  package var rank: Int { communicator.rank }

  /// - Parameters:
  ///   - load: the work of gate and experts for the placement `auto`; nil: their FLOPs.
  ///   - place: makes the place where a layer's gate works; nil: as the configuration says.
  package init(
    _ configuration: Configuration, data: DataSet, communicator: any Communicator, training: Bool,
    load: PlacementLoad? = nil, place: (() -> any GatePlace)? = nil
  ) throws {
    let outline = try ModelOutline(configuration, size: DataSetSize(data))
    let team = ThreadTeam(threads: configuration.threads)
    let placement = try ExpertPlacement(
      configuration.placement, experts: outline.experts, ranks: communicator.size,
      load: load ?? outline.flopLoad)
    self.outline = outline
    self.team = team
    input = outline.input
    classes = outline.classes
    self.communicator = communicator
    optimiser = configuration.optimiserRule
    clipNorm = configuration.clipNorm
    hasGate = outline.hasGate
    trainsGate = training && configuration.trainsGate
    trainsExperts = training && configuration.trainsExperts
    trainsTrunk = training
    layers = (0..<outline.layers).map { layer in
      LayerParts(
        configuration, outline, layer: layer, placement: placement,
        place: place?() ?? configuration.gatePlacement.place(over: communicator), rank: communicator.rank,
        training: training, team: team)
    }
    let base = ReplicatedPlace(communicator)
    self.base = base
    let context = ModuleContext(
      isTrained: training, sums: base.sums, team: team, products: configuration.products)
    trunk = outline.trunkSpec?.makeModule(prefix: "trunk", isTapped: false, context)
    head = outline.headSpec?.makeModule(prefix: "head", isTapped: false, context)
    for parameters in parameters { parameters.prepare(for: optimiser) }
  }

  // MARK: The first layer: of most models the only one

  package var placement: ExpertPlacement { layers[0].placement }
  package var expertSpec: any ModuleSpec { layers[0].expertSpec }
  package var gateRequest: GateRequest { layers[0].gateRequest }
  package var gateSize: GateSize { layers[0].gateSize }
  package var gate: (any Gate)? { layers[0].gate }
  package var place: any GatePlace { layers[0].place }
  package var bank: ExpertBank { layers[0].bank }
  package var experts: [any Module] { layers[0].experts }

  // MARK: All tensors

  /// Of trunk and head.
  var shared: [Parameters] { (trunk?.parameters ?? []) + (head?.parameters ?? []) }

  /// Updates everything that this rank trains. Collective where a gate is replicated, and where the norm is limited.
  package func update(_ point: UpdatePoint) throws {
    var point = point
    if let clipNorm { point.gradientScale = clippingScale(norm: try gradientNorm(), limit: clipNorm) }
    if trainsTrunk { for parameters in shared { try base.update(parameters, point) } }
    for layer in layers { try layer.update(point) }
  }

  /// Makes the values and the optimiser's state of this rank's tensors complete, before they are saved. Collective.
  package func gatherState() throws {
    if trainsTrunk { for parameters in shared { try base.complete(parameters) } }
    for layer in layers { try layer.gatherState() }
  }

  /// Every tensor of the model with its owner, and whether it is trained in this run: the trunk's, then layer by layer the
  /// gate's and the experts' in ascending order, then the head's.
  package var tensors: [(spec: TensorSpec, owner: Int, isTrained: Bool)] {
    func ofRoot(_ spec: (any ModuleSpec)?, _ prefix: String) -> [(TensorSpec, Int, Bool)] {
      (spec?.tensors(prefix: prefix) ?? []).map { ($0, 0, trainsTrunk && $0.isTrained) }
    }
    return ofRoot(outline.trunkSpec, "trunk") + layers.flatMap(\.tensors) + ofRoot(outline.headSpec, "head")
  }

  /// The tensors that this rank holds.
  package var parameters: [Parameters] {
    (trunk?.parameters ?? []) + layers.flatMap(\.parameters) + (head?.parameters ?? [])
  }

  /// Starts every tensor of this rank from the seed; independent of ranks, number of experts and gate.
  package func initialise(seed: UInt64) {
    for parameters in parameters { parameters.initialise(seed: seed) }
  }

  /// Trained parameters of the whole model.
  package var parameterCount: Int {
    outline.trunkParameters + layers.reduce(0) { $0 + $1.parameterCount }
  }
}

extension GatePlacement {
  /// The place itself.
  func place(over communicator: any Communicator) -> any GatePlace {
    switch self {
    case .root: RootPlace(communicator)
    case .replicated: ReplicatedPlace(communicator)
    }
  }
}
