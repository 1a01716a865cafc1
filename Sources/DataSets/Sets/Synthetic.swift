import Glibc
public import Numerics

/// The built-in task: 28 × 28 pictures in which five clusters of two classes each need a different simple function.
///
/// A picture has five *tabs* at the top and eight *patches*, in two rows of four, below:
/// ```
///    [tab 0][tab 1][tab 2][tab 3][tab 4]      one is lit: the cluster
///    [patch 0] [patch 1] [patch 2] [patch 3]
///    [patch 4] [patch 5] [patch 6] [patch 7]  each dark or bright: a vector s of eight signs
/// ```
/// Class c belongs to cluster c mod 5. Within cluster k the two classes differ in the sign of w_k · s, where the w_k
/// are five of the eight Walsh functions, and |w_k · s| ≥ 2 always. So within a cluster the class is one linear
/// threshold of eight brightnesses; but the w_k are orthogonal, and the sign of w_j · s says nothing about that of
/// w_k · s (exchange the values of s where w_j and w_k agree with those where they differ: one product stays, the
/// other changes its sign). A network that does not know the cluster cannot tell the classes; one narrow network for
/// all clusters has to hold five functions and the choice between them.
///
/// **Best decomposition**: one expert per cluster (`bestMutualInformation` for five experts). The clusters have
/// equally many samples, the cluster is a function of the class, so I(E;Y) = H(E) = log₂ 5 bits, which is also the
/// most that five experts can have. There is no label noise: the best error is 0 (a linear threshold of the
/// brightnesses errs about once in a thousand, for the patches' shades). Measured with PyTorch, the MNIST networks,
/// ten epochs of batches of 128, three seeds: test error of five experts .009, .010, .017, of a single expert .094,
/// .027, .734; I(E;Y) 1.0 to 1.8 of 2.32 bits, so that a better decomposition is there to be found.
///
/// Every pixel carries noise, every patch its own shade. Samples take the classes in turn (sample i has class
/// i mod 10), so classes are balanced in every prefix of a multiple of ten.
public enum SyntheticTask {
  public static let shape = ImageShape(channels: 1, height: 28, width: 28)
  public static let clusters = 5
  public static let classes = 10
  /// I(E;Y) in bits of the best decomposition by five experts: log₂ 5.
  public static let bestMutualInformation = 2.321_928_094_887_362_3

  /// The cluster of a class.
  public static func cluster(ofClass label: Int) -> Int { label % clusters }

  /// What each cluster's classes differ in: Walsh functions on the eight patches. Class k has w_k · s < 0, class k + 5
  /// has w_k · s > 0.
  package static let functions: [[Int]] = [
    [1, 1, 1, 1, -1, -1, -1, -1],
    [1, -1, 1, -1, 1, -1, 1, -1],
    [1, 1, -1, -1, 1, 1, -1, -1],
    [1, -1, -1, 1, 1, -1, -1, 1],
    [1, -1, -1, 1, -1, 1, 1, -1],
  ]

  /// Samples `indices` of the task, which has no end; sample i is the same whatever the range.
  package static func images(_ indices: Range<Int>) -> ImageSet {
    let regions = regionOfPixel
    // Fixed: the data are the same in all runs.
    let stream = RandomStream(seed: 230_214_703, purpose: .synthetic)
    let labels = indices.map { UInt8($0 % classes) }
    let images = ImageBytes(count: indices.count * shape.pixels) { bytes in
      for (position, sample) in indices.enumerated() {
        let levels = levels(of: sample, stream)
        let picture = UnsafeMutableBufferPointer(
          rebasing: bytes[position * shape.pixels..<(position + 1) * shape.pixels])
        // Sixteen bytes of noise per draw, six bits of each: 0…63.
        for chunk in 0..<shape.pixels / 16 {
          let noise = unsafeBitCast(
            stream.words(UInt64(sample), 1 << 33 | UInt64(chunk)), to: SIMD16<UInt8>.self)
          for lane in 0..<16 {
            let pixel = 16 * chunk + lane
            picture[pixel] = levels[Int(regions[pixel])] + noise[lane] >> 2
          }
        }
      }
    }
    return ImageSet(shape: shape, images: images, labels: labels)
  }

  /// Brightness of the background, the five tabs and the eight patches of a sample, before noise; at most 159.
  private static func levels(of sample: Int, _ stream: RandomStream) -> [UInt8] {
    let label = sample % classes
    let function = functions[cluster(ofClass: label)]
    let signs = signs(of: sample, function: function, positive: label >= clusters, stream)
    let shades = unsafeBitCast(stream.words(UInt64(sample), 1 << 32), to: SIMD16<UInt8>.self)
    var levels = [UInt8](repeating: 0, count: 1 + clusters + functions[0].count)
    // Dim, so that the choice between the clusters is work for a network, not for one hidden unit each.
    levels[1 + cluster(ofClass: label)] = 48
    for patch in function.indices {
      levels[1 + clusters + patch] = (signs[patch] > 0 ? 128 : 48) + shades[patch] >> 3
    }
    return levels
  }

  /// Eight random signs with w · s of the wanted sign: drawn until w · s ≠ 0, then turned if need be.
  private static func signs(
    of sample: Int, function: [Int], positive: Bool, _ stream: RandomStream
  ) -> [Int] {
    var draw: UInt64 = 0
    while true {
      let bits = stream.words(UInt64(sample), draw).x
      let signs = function.indices.map { bits >> UInt32($0) & 1 == 1 ? 1 : -1 }
      let product = zip(function, signs).reduce(0) { $0 + $1.0 * $1.1 }
      if product != 0 { return (product > 0) == positive ? signs : signs.map { -$0 } }
      draw += 1
    }
  }

  /// 0 background, 1–5 tabs (4 × 6 pixels), 6–13 patches (6 × 8 pixels).
  package static var regionOfPixel: [UInt8] {
    var regions = [UInt8](repeating: 0, count: shape.pixels)
    func fill(_ region: Int, top: Int, left: Int, height: Int, width: Int) {
      for row in top..<top + height {
        for column in left..<left + width { regions[row * shape.width + column] = UInt8(region) }
      }
    }
    for tab in 0..<clusters { fill(1 + tab, top: 1, left: 2 + 5 * tab, height: 6, width: 4) }
    for patch in 0..<8 {
      fill(1 + clusters + patch, top: 9 + 9 * (patch / 4), left: 1 + 7 * (patch % 4), height: 8, width: 6)
    }
    return regions
  }
}
