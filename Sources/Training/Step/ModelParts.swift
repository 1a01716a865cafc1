package import DataSets
package import Dist
internal import KernelInterface
package import MoE
package import Networks
package import Numerics

/// The model as one rank holds it: its own experts, and the gate on rank 0 or a copy of it on every rank.
package final class ModelParts {
  package let family: NetworkFamily
  package let input: ImageShape
  package let classes: Int
  package let placement: ExpertPlacement
  package let expertSpec: NetworkSpec
  /// What gate and scorers are made from.
  package let gateRequest: GateRequest
  package let gateSize: GateSize
  /// Whether there is a choice between experts; false for the single model.
  package let hasGate: Bool
  /// Nil where it is on another rank, and where it has no parameters.
  package let gate: (any Gate)?
  /// Where the gate works.
  package let place: any GatePlace
  /// Works on blocks and experts.
  package let team: ThreadTeam
  /// This rank's experts.
  package let bank: ExpertBank
  package var experts: [Network] { bank.experts }
  /// Whether gradients are taken; false in evaluation.
  package let trainsGate: Bool
  package let trainsExperts: Bool
  package let optimiser: any Optimiser
  /// The largest norm of the gradients; nil: any.
  let clipNorm: Double?
  let communicator: any Communicator
  package var rank: Int { communicator.rank }

  /// - Parameters:
  ///   - load: the work of gate and experts for the placement `auto`; nil: their FLOPs.
  ///   - place: where the gate works; nil: as the configuration says.
  package init(
    _ configuration: Configuration, data: DataSet, communicator: any Communicator, training: Bool,
    load: PlacementLoad? = nil, place: (any GatePlace)? = nil
  ) throws {
    let outline = try ModelOutline(configuration, size: DataSetSize(data))
    let team = ThreadTeam(threads: configuration.threads)
    let place = place ?? configuration.gatePlacement.place(over: communicator)
    let design = configuration.gateDesign
    let trained = training && configuration.trainsExperts
    var request = outline.gateRequest
    request.training = training && configuration.trainsGate
    request.team = team
    request.sums = place.sums
    let rule = StepRule(configuration, gate: request, training: training)
    let spec = outline.expertSpec
    family = request.family
    input = outline.input
    classes = outline.classes
    self.communicator = communicator
    optimiser = configuration.optimiserRule
    clipNorm = configuration.clipNorm
    hasGate = outline.hasGate
    trainsGate = request.training
    trainsExperts = trained
    gateRequest = request
    gateSize = design.size(request)
    expertSpec = spec
    self.team = team
    self.place = place
    placement = try ExpertPlacement(
      configuration.placement, experts: outline.experts, ranks: communicator.size,
      load: load ?? outline.flopLoad)
    gate = place.isHere ? design.makeGate(request) : nil
    bank = ExpertBank(
      placement.expertsOfRank[communicator.rank].map {
        Network(
          spec, prefix: "experts.\($0)", training: trained, tapsHidden: rule.scorer.hiddenFeatures > 0,
          products: request.products)
      }, of: placement.experts, isTrained: trained, team: team)
    for parameters in parameters { parameters.prepare(for: optimiser) }
  }

  /// Updates everything that this rank trains. Collective where the gate is replicated, and where the norm is limited.
  package func update(_ point: UpdatePoint) throws {
    var point = point
    if let clipNorm { point.gradientScale = clippingScale(norm: try gradientNorm(), limit: clipNorm) }
    for parameters in trainedOfGate { try place.update(parameters, point) }
    bank.update(point)
  }

  /// What is trained of the gate that is here.
  var trainedOfGate: [Parameters] { (gate?.parameters ?? []).filter { $0.training != nil } }

  /// Makes the values and the optimiser's state of this rank's tensors complete, before they are saved. Collective.
  package func gatherState() throws {
    for parameters in gate?.parameters ?? [] { try place.complete(parameters) }
  }

  /// Every tensor of the model with its owner, and whether it is trained in this run: the gate's, then the experts' in
  /// ascending order.
  package var tensors: [(spec: TensorSpec, owner: Int, isTrained: Bool)] {
    var list = gateSize.tensors.map { (spec: $0, owner: 0, isTrained: trainsGate && $0.isTrained) }
    for expert in 0..<placement.experts {
      list += expertSpec.tensors(prefix: "experts.\(expert)").map {
        (spec: $0, owner: placement.owners[expert], isTrained: trainsExperts && $0.isTrained)
      }
    }
    return list
  }

  /// The tensors that this rank holds.
  package var parameters: [Parameters] { (gate?.parameters ?? []) + experts.map(\.parameters) }

  /// Starts every tensor of this rank from the seed; independent of ranks, number of experts and gate.
  package func initialise(seed: UInt64) {
    for parameters in parameters {
      for place in parameters.places {
        place.spec.initialise(seed: seed, into: parameters.values + place.offset)
      }
    }
  }

  /// Trained parameters of the whole model.
  package var parameterCount: Int {
    gateSize.parameterCount + placement.experts * expertSpec.parameterCount
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
