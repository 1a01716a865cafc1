internal import Files
internal import Numerics

extension DataSetSource {
  /// Mean and standard deviation per channel: what the user gave, else what was published, else what the training
  /// images have. With a note where the images have no contrast.
  func normalisation(
    _ options: DataOptions, published: (mean: [Double], standardDeviation: [Double])?, of set: ImageSet
  ) throws(Failure) -> (mean: [Double], standardDeviation: [Double], notes: [Message]) {
    let channels = set.shape.channels
    for (word, given) in [("mean", options.mean), ("standard deviation", options.standardDeviation)] {
      guard let given else { continue }
      guard given.count == channels, given.allSatisfy(\.isFinite) else {
        throw Failure(
          .usage, "\(name): expected \(channels) finite number(s) as \(word), one per channel, found \(given)"
        )
      }
    }
    if let given = options.standardDeviation, !given.allSatisfy({ $0 > 0 }) {
      throw Failure(.usage, "\(name): a standard deviation is above 0, found \(given)")
    }
    if let published {
      return (
        options.mean ?? published.mean, options.standardDeviation ?? published.standardDeviation, []
      )
    }
    if let mean = options.mean, let standardDeviation = options.standardDeviation {
      return (mean, standardDeviation, [])
    }
    let computed = PixelStatistics(set)
    let isFlat = computed.standardDeviation.contains(0) && options.standardDeviation == nil
    return (
      options.mean ?? computed.mean,
      options.standardDeviation ?? computed.standardDeviation.map { $0 > 0 ? $0 : 1 },
      isFlat ? ["\(name): all training pixels are equal; they are divided by 1"] : []
    )
  }
}

/// Mean and standard deviation of the pixels of image sets, in units of b/255, per channel.
struct PixelStatistics {
  let mean: [Double]
  /// Of the population (divided by the number of pixels).
  let standardDeviation: [Double]

  /// Counts every byte value exactly, then takes both moments from the 256 counts in Double: no rounding to speak of,
  /// whatever the number of pixels.
  init(_ set: ImageSet) {
    var mean: [Double] = []
    var standardDeviation: [Double] = []
    let plane = set.shape.height * set.shape.width
    for channel in 0..<set.shape.channels {
      var counts = [Int](repeating: 0, count: 256)
      set.images.withUnsafeBufferPointer { bytes in
        for image in 0..<set.count {
          let start = image * set.shape.pixels + channel * plane
          for pixel in start..<start + plane { counts[Int(bytes[pixel])] += 1 }
        }
      }
      let total = Double(counts.reduce(0, +))
      let sum = counts.enumerated().reduce(0.0) { $0 + Double($1.offset) * Double($1.element) }
      let centre = sum / total
      let squares = counts.enumerated().reduce(0.0) {
        let distance = Double($1.offset) - centre
        return $0 + distance * distance * Double($1.element)
      }
      mean.append(centre / 255)
      standardDeviation.append((squares / total).squareRoot() / 255)
    }
    self.mean = mean
    self.standardDeviation = standardDeviation
  }
}
