internal import DataSets
internal import Dist
internal import MoE
internal import Training

/// What it costs that the number of ranks changes no bit: the step with a replicated gate beside the same kernels with one
/// block and one sum per rank, and the transport's all-reduce.
package struct LawBenchmark: Equatable {
  /// Seconds of a step along the tree, and plain, on the slowest rank.
  package let tree: Quantiles
  package let plain: Quantiles
  /// Of neighbouring steps, tree over plain.
  package let ratio: Quantiles

  /// Measures the two in turn; collective, the same on every rank.
  init(
    _ configuration: Configuration, size: DataSetSize, augmentation: Augmentation?,
    communicator: any Communicator, warmUp: Int, steps: Int
  ) throws {
    var lawful = configuration
    lawful.gatePlacement = .replicated
    var plain = lawful
    // As if nobody had asked for blocks: a rank's rows are one.
    plain.blockRows = max(1, (configuration.batchSize + communicator.size - 1) / communicator.size)
    func timer(_ configuration: Configuration, _ place: (() -> any GatePlace)?) throws -> StepTimer {
      try StepTimer(
        configuration, size: size, augmentation: augmentation, communicator: communicator, place: place)
    }
    let timers = [try timer(lawful, nil), try timer(plain) { PlainPlace(communicator) }]
    for _ in 0..<warmUp { for timer in timers { _ = try timer.step() } }
    var mine: [Double] = []
    for _ in 0..<steps { for timer in timers { mine.append(try timer.step().step) } }
    let all = try communicator.allGather(mine)
    let worst = mine.indices.map { step in
      (0..<communicator.size).map { all[$0 * mine.count + step] }.max() ?? 0
    }
    let (trees, plains) = (
      stride(from: 0, to: worst.count, by: 2).map { worst[$0] },
      stride(from: 1, to: worst.count, by: 2).map { worst[$0] }
    )
    tree = Quantiles(trees)
    self.plain = Quantiles(plains)
    ratio = Quantiles(zip(trees, plains).map { $0 / $1 })
  }
}
