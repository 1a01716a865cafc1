public import Dist
internal import KernelInterface
public import Networks
public import Numerics

extension MixtureLayer {
  /// A layer of experts, gate, scorer and losses of one's own.
  ///
  /// Every rank makes it with the same arguments. Modules are made where they live: an expert on its owner, a gate on rank 0
  /// or, replicated, on every rank; neither decides a bit of the results. A start value is a function of seed and name
  /// (`Parameters.initialise(seed:)`), so names of tensors must not depend on the rank.
  /// - Parameters:
  ///   - count: experts, E.
  ///   - outputs: values that an expert gives per row, the same for all.
  ///   - blockRows: rows of a block. A number of the model: sums over rows go block by block, so their bits follow from it.
  ///   - selection: the experts of a row; e.g. ``TopK``.
  ///   - scorer: what makes scores of the gate's messages; e.g. ``MessageScorer``.
  ///   - losses: of what the gate chooses. They are taken in training.
  ///   - temperature: T of p = softmax(score/T), which losses see. The ``Readout`` has its own, of the same value.
  ///   - placement: which rank owns which expert; nil: neighbours together, as evenly as they go.
  ///   - replicatesGate: whether every rank has a copy of the gate for its shard. False: rank 0 has it for the whole batch.
  ///   - isTrained: whether gate and experts have gradients.
  ///   - team: the threads that work here; experts are shared out over them.
  ///   - products: what computes the dense layers of gate and experts.
  ///   - communicator: the ranks.
  ///   - gate: makes the gate in the given context, whose sums must be those of its modules. Nil for one without parameters.
  ///   - expert: makes an expert, given its number from 0 and its context. Where the scorer has
  ///     ``Scorer/hiddenFeatures``, its module is made tapped.
  public convenience init(
    experts count: Int, outputs: Int, blockRows: Int, selection: any Selection = AllExperts(),
    scorer: any Scorer, losses: [any RoutingLoss] = [], temperature: Float = 1,
    placement: ExpertPlacement? = nil, replicatesGate: Bool = false, isTrained: Bool = true,
    team: ThreadTeam = .alone(), products: DenseProducts = .standard, over communicator: any Communicator,
    gate: (ModuleContext) -> (any Gate)?, expert: (Int, ModuleContext) -> any Module
  ) {
    let placement = placement ?? .block(experts: count, ranks: communicator.size)
    precondition(
      placement.experts == count && placement.ranks == communicator.size,
      "the placement is of \(placement.experts) experts on \(placement.ranks) ranks, the layer of \(count) on "
        + "\(communicator.size)")
    let layout = AnswerLayout(classes: outputs, hidden: scorer.hiddenFeatures)
    let place: any GatePlace = replicatesGate ? ReplicatedPlace(communicator) : RootPlace(communicator)
    // An expert has all its rows in one block and is worked on by one thread.
    let context = ModuleContext(isTrained: isTrained, products: products)
    let modules = placement.expertsOfRank[communicator.rank].map { expert($0, context) }
    for module in modules {
      precondition(module.outputs == outputs, "an expert gives \(module.outputs) values, not \(outputs)")
    }
    let clock = SilentClock()
    let bank = ExpertBank(modules, of: count, isTrained: isTrained, team: team)
    let gateContext = ModuleContext(isTrained: isTrained, sums: place.sums, team: team, products: products)
    self.init(
      LayerRule(selection: selection, scorer: scorer, layout: layout),
      gate: place.isHere ? gate(gateContext) : nil, trainsGate: isTrained, place: place,
      experts: ExpertExchange(communicator, placement: placement, bank: bank, layout: layout, clock: clock),
      blockRows: blockRows,
      losses: losses.isEmpty ? nil : RoutingLosses(losses, temperature: temperature),
      temperature: temperature, communicator: communicator, clock: clock)
  }

  // MARK: What is trained

  /// The tensors that this rank holds: of the gate or its copy, then of its experts, ascending.
  public var parameters: [Parameters] {
    (gate?.parameters ?? []) + experts.bank.experts.flatMap(\.parameters)
  }

  /// ``parameters`` without copies of the gate beside rank 0's: those of all ranks, in the order of ranks, are every tensor
  /// once.
  public var ownedParameters: [Parameters] {
    communicator.rank == 0 ? parameters : experts.bank.experts.flatMap(\.parameters)
  }

  /// Updates gate and experts from the gradients of the last backward pass. Collective.
  public func update(_ point: UpdatePoint) throws {
    try place.update(gate, point)
    experts.bank.update(point)
  }

  /// Makes the state of the optimiser complete on rank 0, before it is saved. Collective.
  public func gatherState() throws { try place.complete(gate) }
}

/// Measures nothing, and never waits.
private final class SilentClock: LayerClock {
  func measure<Result>(part: LayerPart, _ body: () throws -> Result) throws -> Result { try body() }
  func meet() {}
}
