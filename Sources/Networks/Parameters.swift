public import KernelInterface
internal import Numerics

/// The tensors of one network in one allocation: values, and for training their gradients and Adam's moments.
///
/// Trained tensors come first, each padded to whole vectors with zeros, so that zeroing, updating and saving are one loop
/// each; statistics follow. Lives on the rank that owns the network and nowhere else.
public final class Parameters {
  public struct Place: Sendable {
    public let spec: TensorSpec
    public let offset: Int
  }

  public let places: [Place]
  /// Floats of the trained tensors, padding included.
  public let trainedCount: Int
  /// Floats of all tensors, padding included.
  public let count: Int
  public let values: Floats
  /// Nil when the network is only evaluated.
  public let training: (gradients: Floats, first: Floats, second: Floats)?

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
    self.training =
      training
      ? (
        Parameters.allocate(trainedCount), Parameters.allocate(trainedCount),
        Parameters.allocate(trainedCount)
      ) : nil
  }

  deinit {
    values.deallocate()
    if let training {
      training.gradients.deallocate()
      training.first.deallocate()
      training.second.deallocate()
    }
  }

  /// Bytes of memory that a network of these tensors takes.
  public static func bytes(_ specs: [TensorSpec], training: Bool) -> Int {
    specs.reduce(0) { sum, spec in
      sum + FeatureMap.columns(rows: spec.count) * 4 * (training && spec.isTrained ? 4 : 1)
    }
  }

  public func offset(of name: String) -> Int {
    guard let place = places.first(where: { $0.spec.name == name }) else {
      preconditionFailure("the network has no tensor \(name)")
    }
    return place.offset
  }

  /// One step of Adam over every trained tensor.
  package func update(_ step: AdamStep) { update(step, 0..<trainedCount) }

  /// One step of Adam over some of the trained floats, whole vectors of them.
  package func update(_ step: AdamStep, _ floats: Range<Int>) {
    guard let training else { preconditionFailure("only a network in training is updated") }
    let first = floats.lowerBound
    kernels.adam(
      step, values: values + first, gradients: training.gradients + first, first: training.first + first,
      second: training.second + first, count: floats.count)
  }

  private static func allocate(_ count: Int) -> Floats {
    let raw = UnsafeMutableRawPointer.allocate(byteCount: max(count, 16) * 4, alignment: 64)
    return raw.initializeMemory(as: Float.self, repeating: 0, count: max(count, 16))
  }
}
