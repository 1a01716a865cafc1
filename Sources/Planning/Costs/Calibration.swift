package import DataSets
internal import Dist
package import Files
internal import KernelInterface
internal import MoE
internal import Networks
internal import Records
package import Training

/// Measures the costs of a model's step on this core: two sizes of batch of the same step, on one rank.
///
/// Large models are measured with fewer experts and rows, so that it takes about a second.
package struct Calibration {
  private let configuration: Configuration
  private let size: DataSetSize
  private let augmentation: Augmentation?
  private let outline: ModelOutline

  /// FLOPs of a measured step at most, unless sixteen rows take more.
  private static let flops = 16_000_000_000
  /// Bytes of experts at most, unless two take more.
  private static let expertBytes = 128 << 20

  package init(_ configuration: Configuration, size: DataSetSize) throws(Failure) {
    self.configuration = configuration
    self.size = size
    augmentation = try DataSetRegistry.source(named: configuration.dataset).augmentation
    outline = try ModelOutline(configuration, size: size)
  }

  /// The configuration that is measured: the model with fewer experts, if need be, and so many rows that each has as
  /// many as in the run.
  private func reduced() -> Configuration {
    var small = configuration
    small.initFrom = nil
    small.initExpertsFrom = nil
    small.runDirectory = nil
    small.placement = "auto"
    if small.similarityScale == "dataset" { small.similarityScale = "1" }
    let perExpert = max(16 * outline.expertSpec.parameterCount, 1)
    if outline.gateKind != .none, outline.gateKind != .classes {
      let most = min(outline.experts, 64)
      small.experts = min(
        most, max(Calibration.expertBytes / perExpert, min(most, max(2, configuration.topK))))
      small.topK = min(small.topK, small.experts)
    }
    var rows = outline.batchRows
    if !outline.isDense { rows = rows * small.experts / max(outline.experts, 1) }
    let slots = outline.isDense ? small.modelExperts : min(outline.slots, small.modelExperts)
    let trunk = outline.trunkFlops.forward + outline.trunkFlops.backward
    let perRow = trunk + outline.layers * (outline.gateFlops + slots * outline.expertFlops)
    rows = min(rows, max(2 * laneCount, Calibration.flops / max(perRow, 1) / laneCount * laneCount))
    small.batchSize = max(rows, 2)
    return small
  }

  /// The costs, measured now.
  package func measure() throws -> StepCosts {
    var plain = reduced()
    let regularised = plain
    plain.dropRoutingLosses()
    var costs = try costs(of: plain)
    if outline.isRegularised {
      costs.subject = StepCosts.Subject(try ModelOutline(regularised, size: size))
      costs.regularisers = try regularisers(of: regularised, beside: costs)
    }
    return try costs.fitted(to: outline)
  }

  private func costs(of configuration: Configuration) throws -> StepCosts {
    let timer = try StepTimer(
      configuration, size: size, augmentation: augmentation, communicator: LocalCommunicator())
    let measured = try ModelOutline(configuration, size: size)
    let large = configuration.batchSize
    let small = smaller(than: large)
    let times = [
      try timer.typical(rows: small, warmUp: 2, steps: 2, most: 15, seconds: 0.2),
      try timer.typical(rows: large, warmUp: 1, steps: 2, most: 15, seconds: 0.3),
    ]
    let counts = try [small, large].map { rows in
      var batch = configuration
      batch.batchSize = rows
      return StepLayout(
        try ModelOutline(batch, size: size), ranks: 1, gate: .root, expertsOnFirst: measured.experts
      ).first
    }
    func fit(
      _ phase: Phase, without others: [Double] = [0, 0],
      _ work: (StepLayout.Rank) -> (calls: Double, units: Double)
    ) -> LinearCost {
      let samples = [0, 1].map { index in
        let (calls, units) = work(counts[index])
        return LinearCost.Sample(
          calls: calls, units: units, seconds: max(0, times[index].phases[phase.index] - others[index]))
      }
      return LinearCost(small: samples[0], large: samples[1])
    }
    var costs = StepCosts(StepCosts.Subject(measured))
    costs.input = fit(.input) { (0, Double($0.shardRows)) }
    costs.trunkForward = fit(.trunk) { (Double($0.shardBlocks), Double($0.shardRows)) }
    costs.trunkBackward = fit(.trunkBackward) { (Double($0.shardBlocks), Double($0.shardRows)) }
    costs.gateForward = fit(.gate) { (Double($0.gateBlocks), Double($0.gateRows)) }
    costs.gateBackward = fit(.gateBackward) { (Double($0.gateBlocks), Double($0.gateRows)) }
    let tiling = counts.map { costs.input.seconds(calls: 0, units: $0.tiledRows) }
    costs.expertForward = fit(.experts, without: tiling) { ($0.expertCalls, $0.pairs) }
    costs.expertBackward = fit(.expertBackward) { ($0.expertCalls, $0.pairs) }
    costs.plan = fit(.plan) { (1, Double($0.shardRows)) }
    costs.dispatch = fit(.dispatch) { (1, $0.dispatchedBytes) }
    costs.combine = fit(.combine) { (1, $0.answerValues) }
    costs.returning = fit(.returning) { (1, $0.answerValues) }
    costs.loss = fit(.loss) { (1, Double($0.shardRows)) }
    costs.metrics = fit(.metrics) { (1, Double($0.shardRows)) }
    let parameters = Double(timer.session.parts.parameters.reduce(0) { $0 + $1.trainedCount })
    costs.optimiser = LinearCost(
      perUnit: parameters > 0 ? times[1].phases[Phase.optimiser.index] / parameters : 0)
    costs.other = LinearCost(perCall: times[1].phases[Phase.other.index])
    return costs
  }

  /// What the regularisers add to the loss on rank 0.
  private func regularisers(of configuration: Configuration, beside costs: StepCosts) throws -> LinearCost {
    let timer = try StepTimer(
      configuration, size: size, augmentation: augmentation, communicator: LocalCommunicator())
    let samples = try [smaller(than: configuration.batchSize), configuration.batchSize].map { rows in
      let times = try timer.typical(rows: rows, warmUp: 1, steps: 2, most: 10, seconds: 0.15)
      let seconds = times.phases[Phase.loss.index] - costs.loss.seconds(units: Double(rows))
      return LinearCost.Sample(
        calls: Double(rows), units: Double(rows) * Double(rows), seconds: max(0, seconds))
    }
    return LinearCost(small: samples[0], large: samples[1])
  }

  /// A batch of less than half the rows that is no multiple of a block, so that calls and rows can be told apart.
  private func smaller(than rows: Int) -> Int {
    let half = min(rows / 2, max(configuration.blockRows / 2, 1))
    return max(1, half >= laneCount ? half / laneCount * laneCount : half)
  }
}
