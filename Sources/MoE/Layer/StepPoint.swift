package import Networks

/// Where a run stands when a layer is asked for something: whether it learns, and the keys of counted draws (``ScoreNoise``).
package struct StepPoint: Sendable {
  package var mode: NetworkMode
  package var seed: UInt64
  package var epoch: Int
  /// The sample of every row of the batch: what a random key is made of, because rows change with the order.
  package var samples: ArraySlice<Int32>
  /// The layer's name, so that layers draw apart.
  package var layer: String

  package init(
    mode: NetworkMode, seed: UInt64 = 0, epoch: Int = 0, samples: ArraySlice<Int32> = [],
    layer: String = ""
  ) {
    self.mode = mode
    self.seed = seed
    self.epoch = epoch
    self.samples = samples
    self.layer = layer
  }

  package var isTraining: Bool { mode == .training }
}
