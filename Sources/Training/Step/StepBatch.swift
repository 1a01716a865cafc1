internal import DataSets
internal import KernelInterface
internal import MoE
internal import Networks
internal import Numerics

/// A batch as one rank's step sees it.
struct StepBatch {
  let blocks: BatchBlocks
  /// One per row of the shard.
  let labels: [UInt8]
  let rows: ImageRows
  let point: StepPoint
  /// The class of every row of the shard, for scorers that are told. Valid until the next batch.
  let signal: FeatureMap
}

/// Makes the batches of a step.
final class BatchMaker {
  private let seed: UInt64
  private let payload: Payload
  private let normalisation: Normalisation
  private let rank: Int
  private let signals = Workspace()

  init(_ configuration: Configuration, normalisation: Normalisation, rank: Int) {
    seed = configuration.seed
    payload = configuration.payload
    self.normalisation = normalisation
    self.rank = rank
  }

  /// - Parameters:
  ///   - samples: the sample of every row.
  ///   - blocks: how they are cut.
  func batch(
    _ samples: ArraySlice<Int32>, of images: ImageView, epoch: Int, mode: StepMode, _ blocks: BatchBlocks
  ) -> StepBatch {
    let shard = blocks.shard(of: rank)
    let labels = shard.map { images.labels[Int(samples[samples.startIndex + $0])] }
    var point = StepPoint(mode: .evaluation, seed: seed, epoch: epoch, samples: samples)
    if case .training = mode { point.mode = .training }
    signals.reset()
    let signal = signals.map(features: 1, rows: labels.count)
    for (row, label) in labels.enumerated() { signal[0][row] = Float(label) }
    return StepBatch(
      blocks: blocks, labels: labels,
      rows: ImageRows(
        images, samples: samples, shard: shard, payload: payload, normalisation: normalisation),
      point: point, signal: signal)
  }
}
