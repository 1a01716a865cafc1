import DataSets
import Numerics
import Testing

@Suite struct AugmentationTests {
  private let augmentation = Augmentation(padding: 4)
  private let stream = RandomStream(seed: 5, purpose: .augmentation)

  /// `count` images of 32 × 32 × 3 whose pixels tell image, channel and place apart.
  private func images(_ count: Int) -> ImageSet {
    let shape = ImageShape(channels: 3, height: 32, width: 32)
    let bytes = (0..<count * shape.pixels).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 11) }
    return ImageSet(shape: shape, images: bytes, labels: (0..<count).map { UInt8($0 % 100) })
  }

  /// The rows of a view, in the order asked for.
  private func rows(_ view: ImageView, _ samples: [Int32]) -> [[UInt8]] {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: view.pixels) { scratch in
      samples.map { sample in
        Array(UnsafeBufferPointer(start: view.row(sample, scratch: scratch.baseAddress!), count: view.pixels))
      }
    }
  }

  /// Pads as NumPy's and torchvision's reflect mode does, element by element: the sequence 3 2 1 |0 1 2 3| 2 1 0.
  private func padded(_ plane: [[UInt8]], by margin: Int) -> [[UInt8]] {
    func extended<Element>(_ line: [Element]) -> [Element] {
      let before = (1...margin).reversed().map { line[$0] }
      let after = (1...margin).map { line[line.count - 1 - $0] }
      return before + line + after
    }
    return extended(plane.map { extended($0) })
  }

  @Test func reflectsCropsAndFlipsAsTorchvisionDoes() {
    // Taller than wide, so that the two cannot be mixed up; every draw there is.
    let shape = ImageShape(channels: 2, height: 7, width: 5)
    let augmentation = Augmentation(padding: 3)
    let image = (0..<shape.pixels).map { UInt8($0 * 3 + 1) }
    for isFlipped in [false, true] {
      for top in 0...6 {
        for left in 0...6 {
          var expected: [UInt8] = []
          for channel in 0..<2 {
            let plane = (0..<7).map { y in Array(image[(channel * 7 + y) * 5..<(channel * 7 + y + 1) * 5]) }
            let crop = padded(plane, by: 3)[top..<top + 7].map { Array($0[left..<left + 5]) }
            expected += crop.flatMap { isFlipped ? $0.reversed() : $0 }
          }
          var found = [UInt8](repeating: 0, count: shape.pixels)
          augmentation.apply(
            Augmentation.Draw(isFlipped: isFlipped, top: top, left: left), to: image, shape: shape,
            into: &found)
          #expect(found == expected, "flip \(isFlipped), top \(top), left \(left)")
        }
      }
    }
  }

  @Test func theCentreCropIsTheImage() {
    let set = images(1)
    var found = [UInt8](repeating: 0, count: set.shape.pixels)
    augmentation.apply(
      Augmentation.Draw(isFlipped: false, top: 4, left: 4), to: set.images.base, shape: set.shape,
      into: &found)
    #expect(found == Array(set.images))
  }

  /// 162 equally likely draws, 81 000 draws: χ² with 161 degrees of freedom has mean 161 and deviation √322 ≈ 18; five
  /// deviations on either side.
  @Test func allDrawsAreEquallyLikely() {
    var counts = [Double](repeating: 0, count: 162)
    for epoch in 0..<9 {
      for sample in 0..<9000 as Range<Int32> {
        let draw = augmentation.draw(stream, epoch: epoch, sample: sample)
        #expect((0...8).contains(draw.top) && (0...8).contains(draw.left))
        counts[(draw.isFlipped ? 81 : 0) + draw.top * 9 + draw.left] += 1
      }
    }
    let chiSquare = counts.reduce(0.0) { $0 + ($1 - 500) * ($1 - 500) / 500 }
    #expect(chiSquare < 161 + 5 * 18)
    #expect(chiSquare > 161 - 5 * 18)
  }

  /// Draws of the same sample in neighbouring epochs, and of neighbouring samples, are independent: each agrees in 1 of
  /// 162 cases. 20 000 pairs: mean 123.5, deviation √(20 000 · 1/162 · 161/162) ≈ 11.1.
  @Test func epochsAndSamplesAreIndependent() {
    func agreements(_ other: (Int32) -> Augmentation.Draw) -> Int {
      (0..<20_000 as Range<Int32>).filter {
        augmentation.draw(stream, epoch: 3, sample: $0) == other($0)
      }.count
    }
    let otherSeed = RandomStream(seed: 6, purpose: .augmentation)
    for count in [
      agreements { augmentation.draw(stream, epoch: 4, sample: $0) },
      agreements { augmentation.draw(stream, epoch: 3, sample: $0 + 1) },
      agreements { augmentation.draw(otherSeed, epoch: 3, sample: $0) },
    ] {
      #expect(abs(Double(count) - 123.5) < 5 * 11.1)
    }
  }

  // MARK: The view

  @Test func aPlainViewGivesTheImagesInPlace() {
    let set = images(3)
    for view in [ImageView(set), ImageView(set, augmentation: nil, seed: 1, epoch: 2)] {
      #expect(!view.isAugmented)
      #expect(view.count == 3 && view.pixels == 3072 && view.labels == [0, 1, 2] && view.shape == set.shape)
      withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 1) { scratch in
        #expect(view.row(2, scratch: scratch.baseAddress!) == set.images.base + 2 * 3072)
      }
    }
  }

  @Test func anAugmentedViewAppliesTheDrawOfSeedEpochAndSample() {
    let set = images(50)
    let view = ImageView(set, augmentation: augmentation, seed: 5, epoch: 7)
    #expect(view.isAugmented)
    for (sample, row) in rows(view, (0..<50).map { $0 }).enumerated() {
      var expected = [UInt8](repeating: 0, count: 3072)
      augmentation.apply(
        augmentation.draw(stream, epoch: 7, sample: Int32(sample)), to: set.images.base + sample * 3072,
        shape: set.shape, into: &expected)
      #expect(row == expected)
    }
  }

  @Test func rowsDoNotDependOnTheOrderInWhichTheyAreAskedFor() {
    let set = images(40)
    let view = ImageView(set, augmentation: augmentation, seed: 9, epoch: 0)
    let order = (0..<40 as Range<Int32>).map { ($0 * 27 + 5) % 40 }
    let forward = rows(view, (0..<40).map { $0 })
    #expect(rows(view, order) == order.map { forward[Int($0)] })
    #expect(rows(ImageView(set, augmentation: augmentation, seed: 9, epoch: 0), [17]) == [forward[17]])
    #expect(rows(ImageView(set, augmentation: augmentation, seed: 9, epoch: 1), [17]) != [forward[17]])
  }
}
