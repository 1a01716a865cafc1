package import Numerics

/// Random changes to a training image: horizontal flip with probability 1/2 and a crop of the image's own size from
/// the image with reflected margins, as torchvision's `RandomHorizontalFlip` and
/// `RandomCrop(size, padding=padding, padding_mode='reflect')` (method: arXiv 2302.14703, CIFAR-100).
///
/// The draw is a function of (seed, epoch, sample) alone, so it does not matter which rank makes it, how often, or in
/// which order.
public struct Augmentation: Equatable, Sendable {
  /// Width of the margins in pixels; less than the image's height and width.
  public let padding: Int

  public init(padding: Int) {
    precondition(padding >= 0, "a margin has a width")
    self.padding = padding
  }

  /// What happens to one image: output pixel (y, x) is input pixel (reflect(y + top − padding),
  /// reflect(x' + left − padding)) with x' = x, or width − 1 − x where the image is flipped.
  package struct Draw: Equatable, Sendable {
    package let isFlipped: Bool
    /// Place of the crop in the padded image, 0…2·padding.
    package let top: Int
    package let left: Int

    package init(isFlipped: Bool, top: Int, left: Int) {
      self.isFlipped = isFlipped
      self.top = top
      self.left = left
    }
  }

  /// The draw of a sample in an epoch, from the words at counters (epoch, sample): the highest bit of the first says
  /// flip, the second and third are the crop's top and left by multiply-and-shift (off uniform by less than 2⁻²⁸).
  @inline(__always)
  package func draw(_ stream: RandomStream, epoch: Int, sample: Int32) -> Draw {
    let words = stream.words(UInt64(epoch), UInt64(UInt32(bitPattern: sample)))
    func place(_ word: UInt32) -> Int { Int((UInt64(word) * UInt64(2 * padding + 1)) >> 32) }
    return Draw(isFlipped: words.x >> 31 == 1, top: place(words.y), left: place(words.z))
  }

  /// Writes the changed image.
  ///
  /// - Parameters:
  ///   - source: shape.pixels bytes, channel-major.
  ///   - target: room for as many, elsewhere.
  package func apply(
    _ draw: Draw, to source: UnsafePointer<UInt8>, shape: ImageShape, into target: UnsafeMutablePointer<UInt8>
  ) {
    precondition(padding < shape.height && padding < shape.width, "margins reflect less than the whole image")
    let (height, width) = (shape.height, shape.width)
    withUnsafeTemporaryAllocation(of: Int.self, capacity: width) { columns in
      for x in 0..<width {
        let from = draw.isFlipped ? width - 1 - x : x
        columns.initializeElement(at: x, to: Self.reflected(from + draw.left - padding, width))
      }
      for channel in 0..<shape.channels {
        for y in 0..<height {
          let row = channel * height + Self.reflected(y + draw.top - padding, height)
          let (from, to) = (source + row * width, target + (channel * height + y) * width)
          for x in 0..<width { to[x] = from[columns[x]] }
        }
      }
    }
  }

  /// The index inside 0..<count that a mirror at the first and last element shows, without repeating them.
  private static func reflected(_ index: Int, _ count: Int) -> Int {
    index < 0 ? -index : index >= count ? 2 * count - 2 - index : index
  }
}
