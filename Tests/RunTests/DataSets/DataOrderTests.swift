import DataSets
import Numerics
import Testing

@Suite struct BatchOrderTests {
  @Test func isThePermutationByDrawAndSample() {
    let samples = (0..<1000 as Range<Int32>).filter { $0 % 3 != 1 }
    let stream = RandomStream(seed: 11, purpose: .shuffle)
    for epoch in [0, 1, 17] {
      let expected =
        samples.map { (stream.words(UInt64(epoch), UInt64($0)).x, $0) }.sorted { $0 < $1 }.map(\.1)
      #expect(BatchOrder(samples: samples, seed: 11, shuffle: true).permutation(epoch: epoch) == expected)
    }
  }

  @Test(arguments: [0, 1, 2, 37, 4099]) func holdsEverySampleOnce(_ count: Int) {
    let samples = (0..<Int32(count)).map { 2 * $0 + 5 }
    let order = BatchOrder(samples: samples, seed: 3, shuffle: true)
    #expect(order.permutation(epoch: 2).sorted() == samples)
    #expect(order.permutation(epoch: 2) == order.permutation(epoch: 2))
  }

  @Test func epochsAndSeedsDiffer() {
    let samples = (0..<1000 as Range<Int32>).map { $0 }
    let order = BatchOrder(samples: samples, seed: 0, shuffle: true)
    #expect(order.permutation(epoch: 0) != order.permutation(epoch: 1))
    #expect(
      order.permutation(epoch: 0)
        != BatchOrder(samples: samples, seed: 1, shuffle: true).permutation(epoch: 0))
  }

  @Test func withoutShuffleTheOrderIsTheFiles() {
    let order = BatchOrder(samples: [4, 7, 9], seed: 0, shuffle: false)
    #expect(order.permutation(epoch: 0) == [4, 7, 9])
    #expect(order.permutation(epoch: 5) == [4, 7, 9])
  }

  /// All 120 orders of five samples are equally likely: χ² with 119 degrees of freedom has mean 119 and variance 238;
  /// 119 + 5·√238 ≈ 196 is exceeded once in 100 000 generators.
  @Test func allOrdersAreEquallyLikely() {
    let order = BatchOrder(samples: [0, 1, 2, 3, 4], seed: 42, shuffle: true)
    var counts = [Int](repeating: 0, count: 3125)
    let epochs = 24_000
    for epoch in 0..<epochs {
      counts[order.permutation(epoch: epoch).reduce(0) { $0 * 5 + Int($1) }] += 1
    }
    let expected = Double(epochs) / 120
    let seen = counts.filter { $0 > 0 }
    let chiSquare = seen.reduce(0.0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
    #expect(seen.count == 120)
    #expect(chiSquare < 196)
    #expect(chiSquare > 119 - 77)
  }

  /// Where 1 000 samples go over 2 000 epochs, place and sample in ten parts each: χ² with 81 degrees of freedom
  /// (rows and columns are fixed), 81 + 5·√162 ≈ 145. Counts of permutations vary by n/(n−1) of it: nothing here.
  @Test func everyPlaceIsEquallyLikely() {
    let order = BatchOrder(samples: (0..<1000).map { $0 }, seed: 1, shuffle: true)
    var counts = [Double](repeating: 0, count: 100)
    for epoch in 0..<2000 {
      for (place, sample) in order.permutation(epoch: epoch).enumerated() {
        counts[place / 100 * 10 + Int(sample) / 100] += 1
      }
    }
    let chiSquare = counts.reduce(0.0) { $0 + ($1 - 20_000) * ($1 - 20_000) / 20_000 }
    #expect(chiSquare < 145)
    #expect(chiSquare > 17)
  }
}

@Suite struct ValidationSplitTests {
  private let labels = (0..<5000).map { UInt8(($0 * $0 + 3 * $0) % 7) }

  @Test(arguments: [0.001, 0.1, 0.25, 1.0 / 3, 0.5, 0.9, 0.999]) func isStratified(_ fraction: Double) {
    let split = ValidationSplit(labels: labels, fraction: fraction)
    for label in 0..<7 as Range<UInt8> {
      let all = labels.filter { $0 == label }.count
      let held = split.validation.filter { labels[Int($0)] == label }.count
      #expect(held == Int((fraction * Double(all)).rounded(.toNearestOrAwayFromZero)))
    }
  }

  @Test func bothPartsAscendAndMakeUpTheWhole() {
    let split = ValidationSplit(labels: labels, fraction: 0.1)
    #expect(zip(split.train, split.train.dropFirst()).allSatisfy { $0 < $1 })
    #expect(zip(split.validation, split.validation.dropFirst()).allSatisfy { $0 < $1 })
    #expect((split.train + split.validation).sorted() == (0..<5000).map { $0 })
  }

  @Test func withoutFractionNothingIsHeldOut() {
    let split = ValidationSplit(labels: labels, fraction: 0)
    #expect(split.train == (0..<5000).map { $0 })
    #expect(split.validation.isEmpty)
  }

  @Test func aLargerFractionHoldsOutASuperset() {
    let small = Set(ValidationSplit(labels: labels, fraction: 0.1).validation)
    #expect(small.isSubset(of: ValidationSplit(labels: labels, fraction: 0.3).validation))
  }

  /// Held-out samples come from all over the file: the mean index of 1 250 out of 5 000 has the standard error
  /// 5000/√12/√1250·√(3/4) ≈ 35.
  @Test func isSpreadOverTheFile() {
    let held = ValidationSplit(labels: [UInt8](repeating: 0, count: 5000), fraction: 0.25).validation
    let mean = held.reduce(0.0) { $0 + Double($1) } / Double(held.count)
    #expect(abs(mean - 2499.5) < 5 * 35)
  }
}
