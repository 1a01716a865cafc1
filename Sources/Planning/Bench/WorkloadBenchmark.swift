package import DataSets
package import Dist
internal import KernelInterface
package import MoE
internal import Networks
internal import Numerics
package import Records
package import Training

/// Steps of the exchange and the experts, without gate and loss, under forced routings with one expert per row.
package struct WorkloadBenchmark {
  private let communicator: any Communicator
  private let session: ModelSession
  private let clock: PhaseClock
  private let data: DataSet
  private let rows: Int

  /// What was measured of a workload.
  package struct Row: Equatable {
    package let workload: Workload
    /// Seconds of a step on the slowest rank.
    package let step: Quantiles
    /// Seconds per phase on the slowest rank, medians, in the order of ``phases``.
    package let phases: [Double]
    /// The fullest rank's (row, expert) pairs over the mean of all ranks.
    package let imbalance: Double
  }

  package static let phases: [Phase] = [
    .plan, .dispatch, .experts, .combine, .returning, .expertBackward, .waiting,
  ]

  /// - Parameter configuration: the model; its experts are spread over the ranks in blocks.
  package init(_ configuration: Configuration, size: DataSetSize, communicator: any Communicator) throws {
    var forced = configuration
    forced.gate = .softmax
    forced.distillFrom = nil
    forced.initFrom = nil
    forced.initExpertsFrom = nil
    forced.freeze = .none
    forced.combine = .topK
    forced.topK = 1
    forced.topKWeights = .full
    forced.placement = "block"
    forced.payload = .uint8
    forced.noise = 0
    forced.capacity = nil
    forced.dropRoutingLosses()
    self.communicator = communicator
    rows = forced.batchSize
    data = randomImages(size, samples: rows, augmentation: nil)
    clock = PhaseClock(communicator) { _, _ in }
    session = try ModelSession(
      forced, data: data, communicator: communicator, training: true, clock: clock)
    session.parts.initialise(seed: 0)
  }

  package var placement: ExpertPlacement { session.parts.placement }

  /// Runs a workload; collective.
  package func measure(_ workload: Workload, warmUp: Int, steps: Int) throws -> Row {
    let experts = ExpertExchange(
      communicator, placement: placement, bank: session.parts.bank,
      layout: session.trainingRule.layout, clock: clock)
    var times: [[Double]] = []
    for step in 0..<warmUp + steps {
      let measured = try run(workload, step, experts)
      if step >= warmUp { times.append(measured) }
    }
    let worst = try ExchangeBenchmark(communicator).worst(times.flatMap { $0 })
    let columns = WorkloadBenchmark.phases.count + 1
    func column(_ index: Int) -> [Double] {
      stride(from: index, to: worst.count, by: columns).map { worst[$0] }
    }
    var pairs = [Int](repeating: 0, count: placement.ranks)
    for row in 0..<rows {
      pairs[placement.owners[workload.expert(row: row, step: 0, placement: placement)]] += 1
    }
    return Row(
      workload: workload, step: Quantiles(column(columns - 1)),
      phases: WorkloadBenchmark.phases.indices.map { Quantiles(column($0)).median },
      imbalance: Double((pairs.max() ?? 0) * pairs.count) / Double(rows))
  }

  /// One step; seconds per phase and of the whole.
  private func run(_ workload: Workload, _ step: Int, _ experts: ExpertExchange) throws -> [Double] {
    let shard = workload.shard(of: communicator.rank, ranks: communicator.size, rows: rows)
    let table = forcedTable(rows: shard.count, slots: 1) { row, _ in
      workload.expert(row: shard.lowerBound + row, step: step, placement: placement)
    }
    let width = session.trainingRule.layout.width
    let workspace = Workspace(
      capacity: Workspace.bytes(floats: FeatureMap.count(features: width, rows: shard.count)) + 64)
    let slots = workspace.map(features: width, rows: shard.count)
    let samples = (0..<rows).map { Int32($0) }
    let images = ImageRows(
      ImageView(data.train), samples: samples[...], shard: shard, payload: session.configuration.payload,
      normalisation: data.normalisation)
    let before = clock.seconds
    try communicator.barrier()
    let begin = PhaseClock.now()
    let plan = try clock.measure(.plan) { RoutingPlan(table, placement: placement) }
    let routed = try experts.send(plan, images)
    _ = try clock.measure(.experts) { experts.take(routed) }
    let answers = try experts.answer(routed, mode: .training, into: slots)
    try experts.backward(slots, routed, answers: answers, rows: nil, in: workspace)
    try clock.meet()
    let duration = PhaseClock.now() - begin
    return WorkloadBenchmark.phases.map { clock.seconds[$0.index] - before[$0.index] } + [duration]
  }
}
