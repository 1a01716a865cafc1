package import Numerics

/// Labelled images as a batch sees them: as they are, or changed at random for one epoch of training.
///
/// The pointers that it gives are valid as long as the view, or its image set, is kept.
package struct ImageView: Sendable {
  package let source: ImageSet
  private let change: Change?

  private struct Change: Sendable {
    let augmentation: Augmentation
    let stream: RandomStream
    let epoch: Int
  }

  /// The images as they are.
  package init(_ source: ImageSet) {
    self.source = source
    change = nil
  }

  /// The images of an epoch (0, 1, …) of training.
  ///
  /// - Parameters:
  ///   - augmentation: nil leaves the images as they are.
  ///   - seed: the run's.
  package init(_ source: ImageSet, augmentation: Augmentation?, seed: UInt64, epoch: Int) {
    self.source = source
    change = augmentation.map {
      Change(
        augmentation: $0, stream: RandomStream(seed: seed, purpose: .augmentation), epoch: epoch)
    }
  }

  package var labels: [UInt8] { source.labels }
  package var shape: ImageShape { source.shape }
  /// Bytes of an image.
  package var pixels: Int { source.shape.pixels }
  package var count: Int { source.count }
  /// Whether ``row(_:scratch:)`` writes to its scratch.
  package var isAugmented: Bool { change != nil }

  /// The bytes of a sample's image, channel-major: in place where nothing changes it, otherwise in `scratch`.
  ///
  /// - Parameter scratch: room for ``pixels`` bytes; one per row whose bytes are needed at the same time.
  @inline(__always)
  package func row(_ sample: Int32, scratch: UnsafeMutablePointer<UInt8>) -> UnsafePointer<UInt8> {
    precondition(sample >= 0 && Int(sample) < source.count, "sample \(sample) of \(source.count)")
    let image = source.images.base + Int(sample) * source.shape.pixels
    guard let change else { return image }
    let draw = change.augmentation.draw(change.stream, epoch: change.epoch, sample: sample)
    change.augmentation.apply(draw, to: image, shape: source.shape, into: scratch)
    return UnsafePointer(scratch)
  }
}
