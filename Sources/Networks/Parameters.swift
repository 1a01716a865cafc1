public import KernelInterface
internal import Numerics

/// The tensors of one network in one allocation: values, and for training their gradients and what the optimiser keeps.
///
/// Trained tensors come first, each padded to whole vectors with zeros, so that zeroing, updating and saving are one loop
/// each; statistics follow. Lives on the rank that owns the network and nowhere else.
public final class Parameters {
  /// Where a tensor lies.
  public struct Place: Sendable {
    /// What lies there.
    public let spec: TensorSpec
    /// Floats before it.
    public let offset: Int
  }

  /// Of all tensors.
  public let places: [Place]
  /// Floats of the trained tensors, padding included.
  public let trainedCount: Int
  /// Floats of all tensors, padding included.
  public let count: Int
  /// All tensors, each from its ``Place/offset``.
  public let values: Floats
  /// Nil when the network is only evaluated. `state` has a vector for every name of the optimiser's ``Optimiser/state``.
  public private(set) var training: (gradients: Floats, state: [Floats])?
  private var optimiser: (any Optimiser)?

  /// Tensors of zeros; ``initialise(seed:)`` writes their start values.
  ///
  /// - Parameters:
  ///   - specs: of all tensors, with names of their own.
  ///   - training: whether there are gradients.
  public init(_ specs: [TensorSpec], training: Bool) {
    var places: [Place] = []
    var offset = 0
    for spec in specs where spec.isTrained {
      places.append(Place(spec: spec, offset: offset))
      offset += FeatureMap.columns(rows: spec.count)
    }
    trainedCount = offset
    for spec in specs where !spec.isTrained {
      places.append(Place(spec: spec, offset: offset))
      offset += FeatureMap.columns(rows: spec.count)
    }
    count = offset
    self.places = places
    values = Parameters.allocate(offset)
    self.training = training ? (Parameters.allocate(trainedCount), []) : nil
  }

  deinit {
    values.deallocate()
    if let training {
      training.gradients.deallocate()
      for vector in training.state { vector.deallocate() }
    }
  }

  /// Bytes of memory that a network of these tensors takes.
  ///
  /// - Parameter state: vectors that the optimiser keeps.
  package static func bytes(_ specs: [TensorSpec], training: Bool, state: Int) -> Int {
    specs.reduce(0) { sum, spec in
      sum + FeatureMap.columns(rows: spec.count) * 4 * (training && spec.isTrained ? 2 + state : 1)
    }
  }

  /// Floats before a tensor; to ask for one that is not there is a programming error.
  public func offset(of name: String) -> Int {
    guard let place = places.first(where: { $0.spec.name == name }) else {
      preconditionFailure("the network has no tensor \(name)")
    }
    return place.offset
  }

  /// Writes the start values of every tensor. A tensor's depend on the seed, its name and its shape alone, see
  /// ``TensorSpec/Role``.
  public func initialise(seed: UInt64) {
    for place in places { place.spec.initialise(seed: seed, into: values + place.offset) }
  }

  /// The values of all tensors, each without its padding, in the order of ``places``.
  public var floats: [Float] {
    places.flatMap { UnsafeBufferPointer(start: values + $0.offset, count: $0.spec.count) }
  }

  /// Gives what is trained its optimiser, with a state of zeros; once, before the first update. Without training nothing
  /// happens.
  public func prepare(for optimiser: any Optimiser) {
    guard let training else { return }
    precondition(self.optimiser == nil, "a network keeps its optimiser")
    self.optimiser = optimiser
    self.training = (training.gradients, optimiser.state.map { _ in Parameters.allocate(trainedCount) })
  }

  /// Updates every trained tensor, whose gradients are those of the last backward pass. Tensors that several ranks have
  /// copies of are updated by `ReplicatedBlocks.update(_:_:)` of `MoE`.
  public func update(_ point: UpdatePoint) { update(point, 0..<trainedCount) }

  /// Updates some of the trained floats, whole vectors of them.
  package func update(_ point: UpdatePoint, _ floats: Range<Int>) {
    guard let training, let optimiser else {
      preconditionFailure("only a network in training that has an optimiser is updated")
    }
    let first = floats.lowerBound
    optimiser.update(
      TrainedFloats(
        values: values + first, gradients: training.gradients + first,
        state: training.state.map { $0 + first }, count: floats.count), at: point)
  }

  private static func allocate(_ count: Int) -> Floats {
    let raw = UnsafeMutableRawPointer.allocate(byteCount: max(count, 16) * 4, alignment: 64)
    return raw.initializeMemory(as: Float.self, repeating: 0, count: max(count, 16))
  }
}
