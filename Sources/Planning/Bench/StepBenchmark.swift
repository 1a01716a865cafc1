package import Dist
internal import MoE
package import Records
internal import Training

/// The training step of a model by phase, on random images.
package struct StepBenchmark {
  /// A phase over all ranks.
  package struct Row: Equatable {
    package let phase: Phase
    /// Seconds on the slowest rank of each step.
    package let worst: Quantiles
    /// Seconds, mean over the ranks' medians.
    package let mean: Double
    /// Share of the step, mean over ranks.
    package let share: Double
  }

  package let rows: [Row]
  /// Seconds of the step on the slowest rank of each step.
  package let step: Quantiles
  /// The rank that was slowest in most steps.
  package let slowestRank: Int
  /// The largest share of a rank's step that no named phase measured.
  package let outside: Double
  package let owners: [Int]
  package let batchRows: Int
  package let steps: Int

  package var samplesPerSecond: Double { Double(batchRows) / step.median }

  /// Measures; collective, the same on every rank.
  ///
  /// - Parameter warmUp: steps that are not counted.
  package init(_ timer: StepTimer, communicator: any Communicator, warmUp: Int, steps: Int) throws {
    for _ in 0..<warmUp { _ = try timer.step() }
    var mine: [Double] = []
    for _ in 0..<steps {
      let times = try timer.step()
      // Metrics follow the step.
      var phases = times.phases
      phases[Phase.metrics.index] = 0
      mine += phases + [times.step]
    }
    let all = try communicator.allGather(mine)
    let columns = Phase.allCases.count + 1
    let ranks = communicator.size
    func value(_ rank: Int, _ step: Int, _ column: Int) -> Double {
      all[rank * steps * columns + step * columns + column]
    }
    func worst(_ column: Int) -> Quantiles {
      Quantiles((0..<steps).map { step in (0..<ranks).map { value($0, step, column) }.max() ?? 0 })
    }
    func median(_ rank: Int, _ column: Int) -> Double {
      Quantiles((0..<steps).map { value(rank, $0, column) }).median
    }
    let whole = Phase.allCases.count
    let total = (0..<ranks).reduce(0) { sum, rank in
      sum + (0..<steps).reduce(0) { $0 + value(rank, $1, whole) }
    }
    rows = Phase.allCases.compactMap { phase in
      let index = phase.index
      let sum = (0..<ranks).reduce(0) { sum, rank in
        sum + (0..<steps).reduce(0) { $0 + value(rank, $1, index) }
      }
      guard sum > 0 else { return nil }
      return Row(
        phase: phase, worst: worst(index),
        mean: (0..<ranks).reduce(0) { $0 + median($1, index) } / Double(ranks), share: sum / total)
    }
    step = worst(whole)
    var slowest = [Int](repeating: 0, count: ranks)
    for step in 0..<steps {
      slowest[(0..<ranks).max { value($0, step, whole) < value($1, step, whole) } ?? 0] += 1
    }
    slowestRank = slowest.indices.max { slowest[$0] < slowest[$1] } ?? 0
    outside = (0..<ranks).map { median($0, Phase.other.index) / median($0, whole) }.max() ?? 0
    owners = timer.session.parts.placement.owners
    batchRows = timer.session.configuration.batchSize
    self.steps = steps
  }
}
