public import Networks

/// Where a run stands when a layer is asked for something: whether it learns, and the keys of counted draws (``ScoreNoise``).
public struct StepPoint: Sendable {
  public var mode: NetworkMode
  public var seed: UInt64
  public var epoch: Int
  /// The sample of every row of the batch: what a random key is made of, because rows change with the order.
  public var samples: ArraySlice<Int32>
  /// The layer's name, so that layers draw apart.
  public var layer: String

  public init(
    mode: NetworkMode, seed: UInt64 = 0, epoch: Int = 0, samples: ArraySlice<Int32> = [],
    layer: String = ""
  ) {
    self.mode = mode
    self.seed = seed
    self.epoch = epoch
    self.samples = samples
    self.layer = layer
  }

  public var isTraining: Bool { mode == .training }
}
