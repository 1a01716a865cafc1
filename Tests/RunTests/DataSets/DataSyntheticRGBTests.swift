import DataSets
import Foundation
import Testing

@Suite struct SyntheticRGBTests {
  private let images = SyntheticRGBTask.images(0..<1000)

  /// Where the definition says that regions and flags are, written out anew: rows, columns.
  private static func isInside(_ region: Int, _ row: Int, _ column: Int) -> Bool {
    let rows = region < 2 ? 0..<16 : 16..<32
    let isMiddle = (8..<24).contains(column)
    return rows.contains(row) && (region % 2 == 0) == isMiddle
  }

  private static func isFlag(_ region: Int, _ row: Int, _ column: Int) -> Bool {
    let rows = region < 2 ? 5..<11 : 21..<27
    let columns = region % 2 == 0 ? [13..<19] : [1..<7, 25..<31]
    return rows.contains(row) && columns.contains { $0.contains(column) }
  }

  private func pixel(_ set: ImageSet, _ sample: Int, _ channel: Int, _ row: Int, _ column: Int) -> Int {
    Int(set.images[sample * 3072 + channel * 1024 + row * 32 + column])
  }

  /// Least and greatest byte per channel over places of a picture.
  private func range(
    _ set: ImageSet, _ sample: Int, _ channel: Int, where isIn: (Int, Int) -> Bool
  ) -> ClosedRange<Int> {
    var found: [Int] = []
    for row in 0..<32 {
      for column in 0..<32 where isIn(row, column) { found.append(pixel(set, sample, channel, row, column)) }
    }
    return found.min()!...found.max()!
  }

  /// The coarse class that the flag shows, and the twelve signs, read off a picture; nil where it is not of the kind.
  private func reading(_ set: ImageSet, _ sample: Int) -> (coarse: Int, signs: [Int])? {
    let colours = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1]]
    var coarse: Int?
    var signs: [Int] = []
    for region in 0..<4 {
      for channel in 0..<3 {
        let levels = range(set, sample, channel) {
          Self.isInside(region, $0, $1) && !Self.isFlag(region, $0, $1)
        }
        // A shade of at most 31 and noise of at most 31 above 48 or 128.
        if levels.lowerBound >= 128 && levels.upperBound <= 190 {
          signs.append(1)
        } else if levels.lowerBound >= 48 && levels.upperBound <= 110 {
          signs.append(-1)
        } else {
          return nil
        }
      }
      let flags = (0..<3).map { channel in range(set, sample, channel) { Self.isFlag(region, $0, $1) } }
      let lit = flags.map { $0.lowerBound >= 224 ? 1 : 0 }
      guard lit.contains(1) else { continue }
      guard coarse == nil, let colour = colours.firstIndex(of: lit) else { return nil }
      coarse = 5 * region + colour
    }
    return coarse.map { ($0, signs) }
  }

  /// The documented rule, from a table of squares made by squaring.
  private func scores(coarse: Int, signs: [Int]) -> [Int] {
    let squares = Set((1...10).map { $0 * $0 % 11 })
    return [0, 1, 3, 5, 7].map { offset in
      let row = (coarse + offset) % 11
      let product = (0..<11).reduce(0) { sum, column in
        sum + signs[column] * (squares.contains((column - row + 22) % 11) ? 1 : -1)
      }
      return coarse < 11 ? product : -product
    }
  }

  @Test func theFlagTellsTheCoarseClassAndTheFunctionsTheClass() throws {
    for sample in 0..<1000 {
      let (coarse, signs) = try #require(reading(images, sample))
      let scores = scores(coarse: coarse, signs: signs)
      let best = try #require(scores.max())
      let label = Int(images.labels[sample])
      #expect(coarse == label / 5 && Int(images.coarseLabels?[sample] ?? 0) == coarse)
      #expect(scores.firstIndex(of: best) == label % 5)
      #expect(scores.filter { $0 > best - 4 }.count == 1, "by at least 4")
    }
  }

  @Test func noTwoCoarseClassesHaveTheSameFunctions() {
    let functions = (0..<20).map { SyntheticRGBTask.functions(ofCoarseClass: $0) }
    for coarse in 0..<20 {
      #expect(Set(functions[coarse]).count == 5)
      #expect(functions.count { Set($0) == Set(functions[coarse]) } == 1)
      for other in functions[coarse] {
        for function in functions[coarse] where function != other {
          #expect(zip(function, other).reduce(0) { $0 + $1.0 * $1.1 } == -1, "nearly orthogonal")
        }
      }
    }
  }

  /// The signs alone say little: if the classes' signs are read with a wrong coarse class's functions, the arg-max is
  /// right about as often as chance. Counted over 1 000 pictures and all wrong coarse classes; chance is 1/5, and 0.25 is
  /// far from 1.
  @Test func withoutTheFlagTheSignsDoNotTellTheClass() throws {
    var hits = 0.0
    for sample in 0..<1000 {
      let (coarse, signs) = try #require(reading(images, sample))
      for other in 0..<20 where other != coarse {
        let scores = scores(coarse: other, signs: signs)
        if scores.firstIndex(of: scores.max()!) == Int(images.labels[sample]) % 5 { hits += 1 }
      }
    }
    #expect(hits / 19_000 < 0.25)
  }

  @Test func flipsAndSmallShiftsKeepTheClass() throws {
    let augmentation = Augmentation(padding: 4)
    for sample in 0..<100 {
      let image = images.images.base + sample * 3072
      var flipped = [UInt8](repeating: 0, count: 3072)
      augmentation.apply(
        Augmentation.Draw(isFlipped: true, top: 4, left: 4), to: image, shape: images.shape, into: &flipped)
      let one = ImageSet(shape: images.shape, images: flipped, labels: [0])
      let (coarse, signs) = try #require(reading(one, 0))
      let (coarseBefore, signsBefore) = try #require(reading(images, sample))
      #expect(coarse == coarseBefore && signs == signsBefore)
    }
  }

  @Test func theBestDecompositionHasLog2Of20Bits() throws {
    #expect(SyntheticRGBTask.bestMutualInformation == log2(20))
    // I(E;Y) of experts that are the coarse classes, over the training labels: H(Y) − H(Y|E) = log₂ 100 − log₂ 5.
    let data = try SyntheticRGB().load(DataOptions(environment: [:]))
    var joint = [Double](repeating: 0, count: 20 * 100)
    for label in data.train.labels {
      joint[SyntheticRGBTask.coarseClass(ofClass: Int(label)) * 100 + Int(label)] +=
        1 / Double(data.train.count)
    }
    var information = 0.0
    for expert in 0..<20 {
      let pe = joint[expert * 100..<(expert + 1) * 100].reduce(0, +)
      for label in 0..<100 where joint[expert * 100 + label] > 0 {
        let py = (0..<20).reduce(0.0) { $0 + joint[$1 * 100 + label] }
        information += joint[expert * 100 + label] * log2(joint[expert * 100 + label] / (pe * py))
      }
    }
    #expect(abs(information - log2(20)) < 1e-12)
  }

  @Test func isBalancedReproducibleAndQuick() throws {
    let source = try DataSetRegistry.source(named: "synthetic-rgb")
    let start = ContinuousClock.now
    let data = try source.load(DataOptions(environment: [:]))
    #expect(ContinuousClock.now - start < .seconds(2))
    #expect(data.train.count == 10_000 && data.test.count == 2_000 && data.classes == 100)
    for label in 0..<100 as Range<UInt8> {
      #expect(data.train.labels.count { $0 == label } == 100)
      #expect(data.test.labels.count { $0 == label } == 20)
    }
    #expect(data.coarseOfClass == (0..<100).map { $0 / 5 } && data.coarseNames?.count == 20)
    #expect(data.mean.count == 3 && data.standardDeviation.allSatisfy { $0 > 0.1 })
    #expect(data.augmentation == nil && data.location.isEmpty && data.notes.isEmpty)
    #expect(Array(data.train.images.prefix(3072)) != Array(data.test.images.prefix(3072)))
    #expect(source.isBuiltIn && source.defaults.experts == 20 && source.defaults.model == "cifar-small")
  }

  @Test func samplesDoNotDependOnTheRange() {
    let some = SyntheticRGBTask.images(234..<240)
    #expect(Array(some.images) == Array(images.images[234 * 3072..<240 * 3072]))
    #expect(some.labels == Array(images.labels[234..<240]))
  }

  /// Beside the properties above: the data of all runs stay what they are.
  @Test func theDataNeverChange() throws {
    let data = try SyntheticRGB().load(DataOptions(environment: [:]))
    #expect(
      sha256(data.train.images) == "a44959ec37a1706e9caa6aa11bda5a9e558e683f057fac47c12f64fcf76bc3b6")
    #expect(
      sha256(data.test.images) == "10060f930a48af600374976a9740bc78ecbbc33f8194325e8c64429821ab4b03")
  }
}
