internal import Dist
internal import KernelInterface
package import MoE
package import Networks
package import Numerics

/// A mixture layer's tensors as one rank holds them: its own experts, and the gate on rank 0 or a copy of it on every rank.
package final class LayerParts {
  /// What gate and scorers are made from.
  package let gateRequest: GateRequest
  package let gateSize: GateSize
  package let expertSpec: any ModuleSpec
  package let placement: ExpertPlacement
  /// Nil where it is on another rank, and where it has no parameters.
  package let gate: (any Gate)?
  /// Where the gate works.
  package let place: any GatePlace
  /// This rank's experts.
  package let bank: ExpertBank
  /// What this rank sends to the experts of others, and answers.
  package let carried: ExchangeAccount
  private let trainsExperts: Bool

  /// - Parameters:
  ///   - number: of the layer, from 0.
  ///   - place: where the gate works.
  package init(
    _ configuration: Configuration, _ outline: ModelOutline, layer number: Int, placement: ExpertPlacement,
    place: any GatePlace, rank: Int, training: Bool, team: ThreadTeam
  ) {
    let design = configuration.gateDesign
    trainsExperts = training && configuration.trainsExperts
    carried = ExchangeAccount(ranks: placement.ranks)
    var request = outline.gateRequest(layer: number)
    request.training = training && configuration.trainsGate
    request.team = team
    request.sums = place.sums
    let rule = StepRule(configuration, gate: request, training: training)
    gateRequest = request
    gateSize = design.size(request)
    expertSpec = outline.expertSpec
    self.placement = placement
    self.place = place
    gate = place.isHere ? design.makeGate(request) : nil
    let context = ModuleContext(isTrained: trainsExperts, products: request.products)
    bank = ExpertBank(
      placement.expertsOfRank[rank].map {
        outline.expertSpec.makeModule(
          prefix: "\(request.scope)experts.\($0)", isTapped: rule.scorer.hiddenFeatures > 0, context)
      }, of: placement.experts, isTrained: trainsExperts, team: team)
  }

  package var trainsGate: Bool { gateRequest.training }
  package var experts: [any Module] { bank.experts }
  /// The tensors that this rank holds.
  package var parameters: [Parameters] { (gate?.parameters ?? []) + experts.flatMap(\.parameters) }

  /// Every tensor of the layer with its owner, and whether it is trained in this run: the gate's, then the experts' in
  /// ascending order.
  package var tensors: [(spec: TensorSpec, owner: Int, isTrained: Bool)] {
    var list = gateSize.tensors.map { (spec: $0, owner: 0, isTrained: trainsGate && $0.isTrained) }
    for expert in 0..<placement.experts {
      list += expertSpec.tensors(prefix: "\(gateRequest.scope)experts.\(expert)").map {
        (spec: $0, owner: placement.owners[expert], isTrained: trainsExperts && $0.isTrained)
      }
    }
    return list
  }

  /// Trained parameters of the whole layer.
  package var parameterCount: Int {
    gateSize.parameterCount + placement.experts * expertSpec.parameterCount
  }

  /// The layer over these tensors, in training or in evaluation.
  func mixture(
    _ rule: StepRule, _ configuration: Configuration, training: Bool, communicator: any Communicator,
    clock: PhaseClock
  ) -> MixtureLayer {
    let list = training ? configuration.routingLosses : []
    let losses = list.isEmpty ? nil : RoutingLosses(list, temperature: Float(configuration.temperature))
    return MixtureLayer(
      rule.layer, gate: gate, trainsGate: trainsGate, place: place,
      experts: ExpertExchange(
        communicator, placement: placement, bank: bank, layout: rule.layout, clock: clock,
        account: carried),
      blockRows: configuration.blockRows, losses: losses, temperature: Float(configuration.temperature),
      communicator: communicator, clock: clock)
  }

  /// Updates everything that this rank trains. Collective where the gate is replicated.
  func update(_ point: UpdatePoint) throws {
    try place.update(gate, point)
    bank.update(point)
  }

  /// Makes the values and the optimiser's state of the gate complete on rank 0, before they are saved. Collective.
  func gatherState() throws { try place.complete(gate) }
}
