/// Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2) as torch.optim.AdamW has
/// it: m and v are those of the gradient alone, and w ← w − ηλw − η m̂ / (√v̂ + ε). η is that of the schedule.
public struct AdamW: Optimiser {
  /// What it does beside the decay.
  public var adam: Adam

  /// AdamW with the constants of an ``Adam``.
  public init(_ adam: Adam = Adam()) { self.adam = adam }

  public var state: [String] { adam.state }

  public func update(_ floats: TrainedFloats, at point: UpdatePoint) {
    adam.update(floats, at: point, isDecoupled: true)
  }
}
