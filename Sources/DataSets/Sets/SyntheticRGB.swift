public import Files
public import Numerics

/// The built-in colour task: 32 × 32 × 3 pictures of 20 coarse classes with five classes each, where each coarse class
/// needs a different simple function of what is to be seen.
///
/// A picture has four *regions*: the middle (columns 8–23) and the sides (the other columns) of its upper and of its
/// lower half. Each region is dark or bright in each of three channels: a vector s of twelve signs. In the regions of
/// one kind sits a *flag*, a bright square of 6 × 6 pixels (on both sides where the region has two):
/// ```
///   sides | middle | sides        four places × five colours of the flag:
///   ------+--------+------        the coarse class
///   sides | middle | sides
/// ```
/// Class y belongs to coarse class k = ⌊y/5⌋, as f = y mod 5. A picture of it has a vector s for which f is the greatest of
/// the five scores ±h_i · s, i = (k + 0, 1, 3, 5, 7) mod 11, by at least 4 (the sign is − for k ≥ 11), where h_i is row
/// i of Paley's matrix: h_ij = 1 where j − i is a square modulo 11 other than 0, else −1, for the first eleven signs. So
/// within a coarse class the class is the arg-max of five linear functions of the brightnesses; the rows are nearly
/// orthogonal, and no two coarse classes have the same five functions.
///
/// **Best decomposition**: one expert per coarse class (`bestMutualInformation` for 20 experts). The coarse classes have
/// equally many samples, the coarse class is a function of the class, so I(E;Y) = H(E) = log₂ 20 bits, the most that 20
/// experts can have. There is no label noise: the best error is 0. Measured with PyTorch, one small CIFAR expert as the
/// single model, 10 000 samples in batches of 128, Adam at 1e-3, one seed: test error .174, .044 and .032 after 3, 5 and
/// 8 epochs; the same network told apart the 20 coarse classes without an error after one epoch.
///
/// Every pixel carries noise, every region and channel its own shade. Pictures are symmetric but for the noise, so that
/// flips, and crops by a few pixels, leave the class what it is. Sample i has class i mod 100.
public enum SyntheticRGBTask {
  public static let shape = ImageShape(channels: 3, height: 32, width: 32)
  public static let coarseClasses = 20
  public static let classes = 100
  /// I(E;Y) in bits of the best decomposition by 20 experts: log₂ 20.
  public static let bestMutualInformation = 4.321_928_094_887_362_3

  static let signs = 12
  /// Red, green, blue, yellow, cyan.
  private static let flagColours = [
    [true, false, false], [false, true, false], [false, false, true], [true, true, false],
    [false, true, true],
  ]

  /// The coarse class of a class.
  public static func coarseClass(ofClass label: Int) -> Int { label / 5 }

  /// The five functions of a coarse class: each a vector of ±1, and 0 for the twelfth sign, which no class reads.
  package static func functions(ofCoarseClass coarse: Int) -> [[Int]] {
    let squares = [1, 3, 4, 5, 9]
    return [0, 1, 3, 5, 7].map { offset in
      let row = (coarse + offset) % 11
      return (0..<signs).map { column in
        if column == 11 { return 0 }
        let sign = squares.contains((column - row + 11) % 11) ? 1 : -1
        return coarse < 11 ? sign : -sign
      }
    }
  }

  /// For every class the vectors s that it may show, bit j set where s_j = 1, ascending.
  private static let patterns: [[UInt16]] = (0..<coarseClasses).flatMap { coarse in
    let functions = functions(ofCoarseClass: coarse)
    var patterns = [[UInt16]](repeating: [], count: functions.count)
    for bits in 0..<UInt16(1 << signs) {
      let scores = functions.map { function in
        function.indices.reduce(0) { $0 + function[$1] * (bits >> UInt16($1) & 1 == 1 ? 1 : -1) }
      }
      let ranked = scores.indices.sorted { scores[$0] > scores[$1] }
      if scores[ranked[0]] - scores[ranked[1]] >= 4 { patterns[ranked[0]].append(bits) }
    }
    return patterns
  }

  /// Samples `indices` of the task, which has no end; sample i is the same whatever the range.
  package static func images(_ indices: Range<Int>) -> ImageSet {
    let places = placeOfPixel
    let plane = shape.height * shape.width
    // Fixed: the data are the same in all runs.
    let stream = RandomStream(seed: 230_214_704, purpose: .synthetic)
    let images = ImageBytes(count: indices.count * shape.pixels) { bytes in
      for (position, sample) in indices.enumerated() {
        let levels = levels(of: sample, stream)
        // Sixteen bytes of noise per draw, five bits of each: 0…31.
        for chunk in 0..<shape.pixels / 16 {
          let noise = unsafeBitCast(
            stream.words(UInt64(sample), 1 << 33 | UInt64(chunk)), to: SIMD16<UInt8>.self)
          let channel = 16 * chunk / plane
          for lane in 0..<16 {
            let pixel = 16 * chunk + lane
            let level = levels[8 * channel + Int(places[pixel - channel * plane])]
            bytes.initializeElement(at: position * shape.pixels + pixel, to: level + noise[lane] >> 3)
          }
        }
      }
    }
    let labels = indices.map { UInt8($0 % classes) }
    return ImageSet(
      shape: shape, images: images, labels: labels,
      coarseLabels: labels.map { UInt8(coarseClass(ofClass: Int($0))) })
  }

  /// Brightness before noise of the four regions and their four places for a flag, per channel; at most 224.
  private static func levels(of sample: Int, _ stream: RandomStream) -> [UInt8] {
    let label = sample % classes
    let coarse = coarseClass(ofClass: label)
    let choices = patterns[label]
    let bits = choices[Int((UInt64(stream.words(UInt64(sample), 0).x) * UInt64(choices.count)) >> 32)]
    let shades = unsafeBitCast(stream.words(UInt64(sample), 1 << 32), to: SIMD16<UInt8>.self)
    var levels = [UInt8](repeating: 0, count: 24)
    for channel in 0..<3 {
      for region in 0..<4 {
        let sign = 3 * region + channel
        let level: UInt8 = (bits >> UInt16(sign) & 1 == 1 ? 128 : 48) + shades[sign] >> 3
        levels[8 * channel + region] = level
        levels[8 * channel + 4 + region] = level
      }
      levels[8 * channel + 4 + coarse / 5] = flagColours[coarse % 5][channel] ? 224 : 112
    }
    return levels
  }

  /// 0–3 the regions: middle and sides of the upper half, then of the lower; 4–7 the flags' places in them.
  package static var placeOfPixel: [UInt8] {
    (0..<shape.height * shape.width).map { pixel in
      let (row, column) = (pixel / shape.width, pixel % shape.width)
      // Left and right are mirror images; in a middle the flag lies across the axis.
      let fromEdge = min(column, shape.width - 1 - column)
      let isSide = fromEdge < 8
      let isFlag = (5..<11).contains(row % 16) && (isSide ? (1..<7).contains(fromEdge) : fromEdge >= 13)
      return UInt8((isFlag ? 4 : 0) + 2 * (row / 16) + (isSide ? 1 : 0))
    }
  }
}

/// The data set `synthetic-rgb`: 10 000 + 2 000 samples of ``SyntheticRGBTask``.
public struct SyntheticRGB: DataSetSource {
  public let name = "synthetic-rgb"
  public let summary =
    "built in: 32 × 32 × 3, 20 coarse classes of five with a known best decomposition, 10 000 + 2 000"
  public let defaults = DataSetDefaults(
    experts: 20, model: "cifar-small", epochs: 10, batchSize: 128, learningRate: 1e-3)
  public let advice: Message = "it is built in"
  public var publishedSize: DataSetSize? {
    DataSetSize(
      shape: SyntheticRGBTask.shape, classes: SyntheticRGBTask.classes, trainingSamples: trainCount,
      testSamples: testCount)
  }
  /// Samples in the two sets; they do not overlap.
  package var trainCount = 10_000
  package var testCount = 2_000

  public init() {}

  public func search(_ options: DataOptions) -> DataSetSearch? { nil }

  public func read(_ options: DataOptions) throws(Failure) -> DataSet {
    let train = SyntheticRGBTask.images(0..<trainCount)
    // The test samples begin where no training set reaches, so that they do not depend on its size.
    let test = SyntheticRGBTask.images(1_000_000_000..<1_000_000_000 + testCount)
    let pixels = try normalisation(options, published: nil, of: train)
    let classes = 0..<SyntheticRGBTask.classes
    return DataSet(
      name: name, classes: classes.count,
      classNames: classes.map { "group \($0 / 5) kind \($0 % 5)" }, train: train, test: test,
      mean: pixels.mean, standardDeviation: pixels.standardDeviation,
      fingerprints: [
        DataPart.trainImages.rawValue: sha256(train.images),
        DataPart.trainLabels.rawValue: sha256(train.labels),
        DataPart.testImages.rawValue: sha256(test.images), DataPart.testLabels.rawValue: sha256(test.labels),
      ], location: "", notes: pixels.notes,
      coarseNames: (0..<SyntheticRGBTask.coarseClasses).map { "group \($0)" },
      coarseOfClass: classes.map { SyntheticRGBTask.coarseClass(ofClass: $0) })
  }
}
