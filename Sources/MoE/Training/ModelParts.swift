package import Dist

/// The model as one rank holds it: its own experts, and on rank 0 the gate.
package final class ModelParts {
  package let family: NetworkFamily
  package let input: ImageShape
  package let classes: Int
  package let placement: ExpertPlacement
  package let gateKind: GateKind
  package let expertSpec: NetworkSpec
  package let gateSpec: NetworkSpec?
  /// The gate on rank 0, nil elsewhere.
  package let gate: (any Gate)?
  /// This rank's experts, ascending by number.
  package let experts: [Network]
  package let rank: Int

  package init(_ configuration: Configuration, data: DataSet, communicator: any Communicator, training: Bool)
    throws
  {
    guard let family = NetworkFamily.named(configuration.model) else {
      throw Failure(
        .usage,
        "unknown model '\(configuration.model)'; known are "
          + NetworkFamily.all.map(\.name).joined(separator: ", "))
    }
    let shape = data.train.shape
    guard shape.channels == 1, shape.height >= 4, shape.width >= 4 else {
      throw Failure(
        .usage,
        "model '\(family.name)' takes one-channel images of at least 4×4 pixels, but data set '\(data.name)' has "
          + "\(shape.channels)×\(shape.height)×\(shape.width)")
    }
    self.family = family
    input = shape
    classes = data.classes
    gateKind = configuration.gate
    rank = communicator.rank
    let count = configuration.gate == .none ? 1 : configuration.experts
    expertSpec = family.expert(input: shape, classes: data.classes)
    gateSpec = configuration.gate.spec(family: family, input: shape, experts: count)
    let expertWork = expertSpec.forwardFlops + expertSpec.backwardFlops
    let share = configuration.combine == .topK ? min(configuration.topK, count) : count
    placement = try ExpertPlacement(
      configuration.placement, experts: count, ranks: communicator.size,
      gateWork: gateSpec.map { $0.forwardFlops + $0.backwardFlops } ?? 0,
      expertWork: max(expertWork * share / count, 1))
    gate =
      communicator.rank == 0
      ? configuration.gate.makeGate(
        GateRequest(
          family: family, input: shape, experts: count, blockRows: configuration.blockRows,
          batchRows: configuration.batchSize, training: training)) : nil
    let spec = expertSpec
    experts = placement.expertsOfRank[communicator.rank].map {
      Network(spec, prefix: "experts.\($0)", training: training)
    }
  }

  /// Every tensor of the model with its owner: the gate's, then the experts' in ascending order.
  package var tensors: [(spec: TensorSpec, owner: Int)] {
    var list = (gateSpec?.tensors(prefix: "gate") ?? []).map { (spec: $0, owner: 0) }
    for expert in 0..<placement.experts {
      list += expertSpec.tensors(prefix: "experts.\(expert)").map {
        (spec: $0, owner: placement.owners[expert])
      }
    }
    return list
  }

  /// The networks of this rank.
  package var networks: [Network] { (gate?.network.map { [$0] } ?? []) + experts }

  /// Starts every tensor of this rank from the seed; independent of ranks, number of experts and gate.
  package func initialise(seed: UInt64) {
    for network in networks {
      for place in network.parameters.places {
        MoE.initialise(place.spec, seed: seed, into: network.parameters.values + place.offset)
      }
    }
  }

  package var parameterCount: Int {
    (gateSpec?.parameterCount ?? 0) + placement.experts * expertSpec.parameterCount
  }
}
