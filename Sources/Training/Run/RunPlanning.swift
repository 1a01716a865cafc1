internal import DataSets
internal import Dist
internal import Files
internal import KernelInterface
internal import MoE
internal import Networks
public import Records

extension Trainer {
  /// What the run is about to do: where every expert lives, how large everything is, what a step moves.
  public func plan() throws -> RunPlan {
    let parts = session.parts
    let outline = try ModelOutline(configuration, size: DataSetSize(data))
    let ranks = (0..<communicator.size).map { rank in
      let experts = parts.placement.expertsOfRank[rank]
      let hasGate = rank == 0 || parts.place.isReplicated
      return RunPlan.Rank(
        rank: rank, host: hosts[rank], experts: experts,
        parameters: outline.trunkParameters + outline.layers
          * ((hasGate ? parts.gateSize.parameterCount : 0)
            + experts.count * parts.expertSpec.parameterCount),
        memory: outline.memory(experts: experts.count, gate: hasGate))
    }
    let rule = session.trainingRule
    let pairs =
      outline.layers * configuration.batchSize * rule.routing.slots(experts: parts.placement.experts)
    // A row crosses to every rank that has an expert for it, except its own shard's.
    let owners = parts.placement.expertsOfRank.filter { !$0.isEmpty }.count
    let copies = min(owners, rule.routing.slots(experts: parts.placement.experts))
    let crossing = communicator.size > 1 ? Double(communicator.size - 1) / Double(communicator.size) : 0
    let answers = Int(Double(pairs * rule.layout.width * 4) * crossing)
    var plan = RunPlan(
      ranks: ranks, arithmetic: Arithmetic(products: configuration.products),
      gateParameters: parts.hasGate ? parts.gateSize.parameterCount : nil,
      expertParameters: parts.expertSpec.parameterCount, experts: parts.placement.experts,
      trainingSamples: split.train.count, validationSamples: split.validation.count,
      testSamples: data.test.count,
      stepsPerEpoch: stepsPerEpoch, steps: totalSteps,
      bytesDispatched: Int(
        Double(outline.layers * configuration.batchSize * copies * outline.rowBytes) * crossing),
      bytesCombined: answers, bytesReturned: parts.trainsExperts ? answers : 0,
      notes: (data.notes
        + [configuration.oracleNote, duration, placementAdvice, bindingAdvice].compactMap { $0 }).map {
          $0.text(as: spelling)
        })
    plan.threads = configuration.threads
    plan.layers = outline.layers
    plan.trunkParameters = outline.trunkParameters
    plan.isGateReplicated = parts.place.isReplicated
    return plan
  }

  /// A step of this run by the cost model, where there is one.
  var prediction: StepPrediction? {
    forecast?.predict(
      ranks: communicator.size, gate: configuration.gatePlacement,
      expertsOnFirst: session.parts.placement.expertsOfRank[0].count)
  }

  /// How long training should take by the cost model, where there is one.
  private var duration: Message? {
    let left = totalSteps - currentPosition.step
    guard let step = prediction?.step, left > 0 else { return nil }
    return
      "\(left) steps of \(fixed(1e3 * step, 1)) ms, about \(durationText(Double(left) * step)) of training"
  }

  /// What to tell mpirun where it left rank 0 fewer cores than threads.
  private var bindingAdvice: Message? {
    communicator.size > 1 ? BoundCores.now()?.advice(threads: configuration.threads) : nil
  }

  /// What the cost model says where a replicated gate would be much faster than the one on rank 0.
  private var placementAdvice: Message? {
    let ranks = communicator.size
    guard let forecast, let prediction, ranks > 1, configuration.gatePlacement == .root else { return nil }
    let ratio = prediction.step / forecast.predict(ranks: ranks, gate: .replicated).step
    guard ratio > 1.25 else { return nil }
    return
      "\(setting: "gate-placement") replicated should make a step \(fixed(ratio, 1)) times as fast, with the same result"
  }
}

extension RankReports {
  /// The conditional-computation account of what the ranks counted.
  ///
  /// - Parameters:
  ///   - rows: rows of all batches, in training and evaluation.
  ///   - trained: those of them that also went backward.
  func account(rows: Int, parts: ModelParts, trained: Int, reasonForAll: String?) -> ComputeAccount {
    let outline = parts.outline
    func bytes(_ phase: Phase) -> Int {
      let index = Phase.allCases.firstIndex(of: phase) ?? 0
      return bytesSent.reduce(0) { $0 + $1[index] }
    }
    var account = ComputeAccount(
      rows: rows,
      experts: experts.map {
        ComputeAccount.Expert(
          expert: $0.expert, layer: $0.layer, owner: $0.owner, rowsSelected: $0.rowsSelected,
          rowsComputed: $0.work.rows,
          forwardFlops: $0.work.forwardFlops, backwardFlops: $0.work.backwardFlops)
      }, gateForwardFlops: gate.forwardFlops, gateBackwardFlops: gate.backwardFlops,
      denseExpertFlops: experts.count
        * (rows * parts.expertSpec.forwardFlops + trained * outline.expertBackwardFlops),
      bytesDispatched: bytes(.dispatch), bytesCombined: bytes(.combine), bytesReturned: bytes(.returning),
      reasonForAll: reasonForAll)
    account.traffic = traffic
    account.trunkForwardFlops = trunk.forwardFlops
    account.trunkBackwardFlops = trunk.backwardFlops
    return account
  }
}
