public import Networks

/// Where a run stands when a layer is asked for something: whether it learns, and the keys of counted draws (``ScoreNoise``).
public struct StepPoint: Sendable {
  /// Whether the layer learns.
  public var mode: NetworkMode
  /// The run's seed.
  public var seed: UInt64
  /// The epoch, of which every one has draws of its own.
  public var epoch: Int
  /// The sample of every row of the batch: what a random key is made of, because rows change with the order.
  public var samples: ArraySlice<Int32>
  /// The layer's name, so that layers draw apart.
  public var layer: String

  /// A place in a run. A layer whose selection has no noise needs the mode alone.
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

  /// Whether the mode is that of training.
  public var isTraining: Bool { mode == .training }
}
