import Foundation
import Glibc
import Records
import TestSupport
import Testing
import Training

// E experts, C classes.

/// Samples as the accumulator takes them, kept row by row so that a test can say what it means.
private struct Samples {
  var experts: Int
  var classes: Int
  var probabilities: [[Float]] = []
  var labels: [UInt8] = []
  var losses: [Float] = []
  var predictions: [Int32] = []
  var chosenExperts: [Int32] = []
  var chosenClasses: [Int32] = []
  var labelRanks: [Int32] = []

  /// A sample whose prediction and whose chosen expert's own class are the label, unless said otherwise.
  mutating func append(
    _ p: [Float], label: Int, loss: Float = 0, prediction: Int? = nil, expert: Int? = nil, own: Int? = nil,
    rank: Int? = nil
  ) {
    probabilities.append(p)
    labels.append(UInt8(label))
    losses.append(loss)
    predictions.append(Int32(prediction ?? label))
    chosenExperts.append(Int32(expert ?? p.firstIndex(of: p.max() ?? 0) ?? 0))
    chosenClasses.append(Int32(own ?? label))
    labelRanks.append(Int32(rank ?? (prediction ?? label == label ? 0 : 1)))
  }

  func entropy(_ p: [Float]) -> Float { -p.reduce(0) { $0 + ($1 > 0 ? $1 * log($1) : 0) } }

  /// Adds all samples in calls of at most `batch` rows, with `padding` unused floats behind every expert's.
  func accumulated(batch: Int = .max, padding: Int = 3) -> MetricsAccumulator {
    var sums = MetricsAccumulator(experts: experts, classes: classes)
    add(to: &sums, from: 0, to: labels.count, batch: batch, padding: padding)
    return sums
  }

  func add(
    to sums: inout MetricsAccumulator, from first: Int, to end: Int, batch: Int = .max, padding: Int = 3
  ) {
    var start = first
    while start < end {
      let rows = min(batch, end - start)
      let stride = rows + padding
      var matrix = [Float](repeating: .nan, count: experts * stride)
      for row in 0..<rows {
        for e in 0..<experts { matrix[e * stride + row] = probabilities[start + row][e] }
      }
      let entropies = probabilities[start..<start + rows].map(entropy)
      let gate = experts > 0
      func tail<Value>(_ values: [Value]) -> [Value] { Array(values[start...]) }
      sums.add(
        rows: rows, probabilities: gate ? matrix : nil, stride: stride, entropies: gate ? entropies : nil,
        labels: tail(labels), losses: tail(losses), predictions: tail(predictions),
        chosenExperts: gate ? tail(chosenExperts) : nil, chosenClasses: gate ? tail(chosenClasses) : nil,
        labelRanks: tail(labelRanks))
      start += rows
    }
  }

  func metrics() -> Metrics { accumulated().metrics() }
}

private func oneHot(_ index: Int, of count: Int) -> [Float] {
  (0..<count).map { $0 == index ? 1 : 0 }
}

private func isClose(_ value: Double?, _ expected: Double, within tolerance: Double = 1e-12) -> Bool {
  guard let value else { return false }
  return abs(value - expected) <= tolerance
}

struct MetricsTests {
  @Test func errorAndLossAreMeans() {
    var samples = Samples(experts: 2, classes: 3)
    samples.append([0.5, 0.5], label: 0, loss: 1)
    samples.append([0.5, 0.5], label: 1, loss: 2, prediction: 2)
    samples.append([0.5, 0.5], label: 2, loss: 0.5)
    samples.append([0.5, 0.5], label: 2, loss: 2.5, prediction: 0)
    let metrics = samples.metrics()
    #expect(metrics.rows == 4)
    #expect(metrics.error == 0.5)
    #expect(metrics.loss == 1.5)
    #expect(metrics.crossEntropy == 1.5)
    #expect(metrics.topFiveError == nil)
  }

  @Test func theTrainingLossMayDifferFromTheCrossEntropy() {
    var sums = MetricsAccumulator(experts: 0, classes: 2)
    sums.add(
      rows: 2, probabilities: nil, stride: 0, entropies: nil, labels: [0, 1], losses: [1, 3],
      predictions: [0, 1], chosenExperts: nil, chosenClasses: nil, labelRanks: [0, 0], objectives: [0.5, 1])
    #expect(sums.metrics().loss == 0.75)
    #expect(sums.metrics().crossEntropy == 2)
  }

  @Test(arguments: [(10, false), (11, true), (100, true)])
  func topFiveNeedsMoreThanTenClasses(classes: Int, has: Bool) {
    var samples = Samples(experts: 0, classes: classes)
    for rank in 0..<10 { samples.append([], label: 0, prediction: rank == 0 ? 0 : 1, rank: rank) }
    // Ranks 0 … 4 are hits, 5 … 9 are not.
    #expect(samples.metrics().topFiveError == (has ? 0.5 : nil))
    #expect(samples.metrics().error == 0.9)
  }

  @Test func aSingleModelHasNoGateFigures() {
    var samples = Samples(experts: 0, classes: 4)
    samples.append([], label: 3, loss: 0.25)
    let metrics = samples.metrics()
    #expect(metrics.mutualInformation == nil && metrics.mutualInformationTrue == nil)
    #expect(metrics.sampleEntropy == nil && metrics.usageEntropy == nil && metrics.taskEntropy == nil)
    #expect(metrics.expertShare == nil && metrics.deadExperts == nil)
    #expect(metrics.hardTable == nil && metrics.softTable == nil)
    #expect(metrics.loss == 0.25 && metrics.error == 0)
  }

  @Test(arguments: [1, 2, 4, 8])
  func aUniformGateHasTheLargestEntropies(experts: Int) {
    var samples = Samples(experts: experts, classes: 4)
    let p = [Float](repeating: 1 / Float(experts), count: experts)
    for row in 0..<40 { samples.append(p, label: row % 4) }
    let metrics = samples.metrics()
    let bits = log2(Double(experts))
    #expect(isClose(metrics.sampleEntropy, bits, within: 1e-6))
    #expect(isClose(metrics.usageEntropy, bits))
    #expect(isClose(metrics.taskEntropy, bits))
    // Ties of the arg-max went to expert 0: one expert for everything tells nothing about the class.
    #expect(metrics.mutualInformation == 0)
    #expect(metrics.mutualInformationTrue == 0)
    #expect(metrics.deadExperts == experts - 1)
    #expect(metrics.expertShare == (0..<experts).map { $0 == 0 ? 1 : 0 })
  }

  @Test func aPerfectDecompositionReachesItsBound() {
    // Ten classes in pairs on five experts: I = H(E) = log2 5, and a class has one expert.
    var samples = Samples(experts: 5, classes: 10)
    for row in 0..<200 { samples.append(oneHot(row % 10 / 2, of: 5), label: row % 10) }
    let metrics = samples.metrics()
    let bits = log2(5.0)
    #expect(isClose(metrics.mutualInformation, bits))
    #expect(isClose(metrics.mutualInformationTrue, bits))
    #expect(metrics.sampleEntropy == 0)
    #expect(isClose(metrics.usageEntropy, bits))
    #expect(metrics.taskEntropy == 0)
    #expect(metrics.expertShare == [0.2, 0.2, 0.2, 0.2, 0.2])
    #expect(metrics.deadExperts == 0)
    for e in 0..<5 {
      #expect(metrics.hardTable?[e] == (0..<10).map { $0 / 2 == e ? 20 : 0 })
      #expect(metrics.softTable?[e] == (0..<10).map { $0 / 2 == e ? 20 : 0 })
    }
  }

  @Test func anExpertThatIgnoresTheClassTellsNothing() {
    var samples = Samples(experts: 3, classes: 4)
    for row in 0..<120 { samples.append(oneHot(row / 4 % 3, of: 3), label: row % 4) }
    let metrics = samples.metrics()
    #expect(metrics.mutualInformationTrue == 0)
    #expect(metrics.mutualInformation == 0)
    #expect(metrics.sampleEntropy == 0)
    #expect(isClose(metrics.usageEntropy, log2(3.0)))
    #expect(isClose(metrics.taskEntropy, log2(3.0)))
  }

  @Test func theTwoMutualInformationsDifferWhereAnExpertErrs() {
    // Expert 0 always says class 0, expert 1 always class 1, and each class goes to both alike:
    // the authors' definition sees one bit, the true labels see none.
    var samples = Samples(experts: 2, classes: 2)
    for row in 0..<8 {
      let expert = row % 2
      samples.append(oneHot(expert, of: 2), label: row / 2 % 2, prediction: expert, own: expert)
    }
    #expect(isClose(samples.metrics().mutualInformation, 1))
    #expect(samples.metrics().mutualInformationTrue == 0)
    #expect(samples.metrics().error == 0.5)
  }

  @Test func aHandMadeTable() {
    // Counts [[3, 1], [1, 3]]: I = 1 − H(1/4) bits.
    var samples = Samples(experts: 2, classes: 2)
    for (expert, label, count) in [(0, 0, 3), (0, 1, 1), (1, 0, 1), (1, 1, 3)] {
      for _ in 0..<count { samples.append(expert == 0 ? [0.75, 0.25] : [0.25, 0.75], label: label) }
    }
    let metrics = samples.metrics()
    let quarter = 2 - 0.75 * log2(3.0)  // H(1/4, 3/4)
    #expect(isClose(metrics.mutualInformationTrue, 1 - quarter))
    #expect(isClose(metrics.sampleEntropy, quarter, within: 1e-7))
    #expect(isClose(metrics.usageEntropy, 1))
    // Class 0: the mean of p is (3·0.75 + 0.25)/4 = 5/8, class 1 the mirror image.
    #expect(isClose(metrics.taskEntropy, -(0.625 * log2(0.625) + 0.375 * log2(0.375))))
    #expect(metrics.softTable == [[2.5, 1.5], [1.5, 2.5]])
    #expect(metrics.hardTable == [[3, 1], [1, 3]])
  }

  @Test func theUsageEntropyIsThatOfTheWholeSetAndNotOfItsParts() {
    // Every part uses one expert alone, the whole uses both.
    var samples = Samples(experts: 2, classes: 2)
    for row in 0..<20 { samples.append(oneHot(row / 10, of: 2), label: row % 2) }
    #expect(isClose(samples.accumulated(batch: 10).metrics().usageEntropy, 1))
  }

  @Test func classesWithoutSamplesDoNotCount() {
    var samples = Samples(experts: 2, classes: 10)
    for _ in 0..<4 { samples.append([0.5, 0.5], label: 3) }
    for _ in 0..<4 { samples.append([1, 0], label: 7) }
    #expect(isClose(samples.metrics().taskEntropy, 0.5))
  }

  @Test(arguments: [(0, 2), (3, 2), (4, 1), (5, 1)])
  func lessThanATwentiethOfAnEvenShareIsDead(samplesOfExpert1: Int, dead: Int) {
    // 200 samples, 3 experts: 3.33 samples. Expert 2 gets none.
    var samples = Samples(experts: 3, classes: 2)
    for row in 0..<200 {
      samples.append(oneHot(row < samplesOfExpert1 ? 1 : 0, of: 3), label: row % 2)
    }
    #expect(samples.metrics().deadExperts == dead)
  }

  @Test func aBrokenGateIsNotADecidedOne() {
    var samples = Samples(experts: 2, classes: 2)
    samples.append([.nan, .nan], label: 0, expert: 0)
    #expect(samples.metrics().usageEntropy?.isNaN == true)
    #expect(samples.metrics().taskEntropy?.isNaN == true)
  }

  @Test func theTableAsText() {
    let text = "expert,class_0,class_1,class_2\n0,1,0,2\n1,0,30,4\n"
    #expect(Metrics.expertClassText([[[1, 0, 2], [0, 30, 4]]]) == text)
  }
}

/// The same figures by their definitions, sample by sample and without tables.
struct MetricsAgainstDefinitionsTests {
  private func random(experts: Int, classes: Int, rows: Int) -> Samples {
    var generator = SplitMix(state: UInt64(experts * 1000 + classes))
    var samples = Samples(experts: experts, classes: classes)
    for _ in 0..<rows {
      let weights = (0..<experts).map { _ in pow(generator.unit(), 4) + 1e-6 }
      let sum = weights.reduce(0, +)
      samples.append(
        weights.map { Float($0 / sum) }, label: generator.below(classes), loss: Float(3 * generator.unit()),
        prediction: generator.below(classes), own: generator.below(classes), rank: generator.below(classes))
    }
    return samples
  }

  private func share(_ samples: Samples, where condition: (Int) -> Bool) -> Double {
    Double((0..<samples.labels.count).count(where: condition)) / Double(samples.labels.count)
  }

  /// Σ p(e, y) log2 (p(e, y) / (p(e) p(y))), every probability by a walk over the samples.
  private func information(_ samples: Samples, _ classOf: (Int) -> Int) -> Double {
    var sum = 0.0
    for e in 0..<samples.experts {
      for c in 0..<samples.classes {
        let joint = share(samples) { samples.chosenExperts[$0] == e && classOf($0) == c }
        guard joint > 0 else { continue }
        let ofExpert = share(samples) { samples.chosenExperts[$0] == e }
        let ofClass = share(samples) { classOf($0) == c }
        sum += joint * log2(joint / (ofExpert * ofClass))
      }
    }
    return sum
  }

  private func entropy(_ samples: Samples, rows: [Int]) -> Double {
    (0..<samples.experts).reduce(0) { sum, e in
      let mean = rows.reduce(0) { $0 + Double(samples.probabilities[$1][e]) } / Double(rows.count)
      return sum - mean * log2(mean)
    }
  }

  @Test(arguments: [(1, 2), (3, 4), (5, 10), (7, 12), (20, 100)])
  func everyFigureAgrees(experts: Int, classes: Int) {
    let samples = random(experts: experts, classes: classes, rows: 137)
    let metrics = samples.metrics()
    let all = Array(0..<137)
    #expect(isClose(metrics.crossEntropy, all.reduce(0) { $0 + Double(samples.losses[$1]) } / 137))
    let error = share(samples) { Int(samples.predictions[$0]) != Int(samples.labels[$0]) }
    #expect(isClose(metrics.error, error))
    #expect(isClose(metrics.mutualInformation, information(samples) { Int(samples.chosenClasses[$0]) }))
    #expect(isClose(metrics.mutualInformationTrue, information(samples) { Int(samples.labels[$0]) }))
    let sampleEntropy = all.reduce(0) { $0 + entropy(samples, rows: [$1]) } / 137
    #expect(isClose(metrics.sampleEntropy, sampleEntropy, within: 1e-6))
    #expect(isClose(metrics.usageEntropy, entropy(samples, rows: all)))
    let groups = (0..<classes).map { c in all.filter { Int(samples.labels[$0]) == c } }.filter { !$0.isEmpty }
    let taskEntropy = groups.reduce(0) { $0 + entropy(samples, rows: $1) } / Double(groups.count)
    #expect(isClose(metrics.taskEntropy, taskEntropy))
    for e in 0..<experts {
      #expect(isClose(metrics.expertShare?[e], share(samples) { samples.chosenExperts[$0] == e }))
    }
  }

  @Test(arguments: [1, 2, 16, 100, 512])
  func howTheSamplesAreCutIntoCallsChangesNothing(batch: Int) {
    let samples = random(experts: 5, classes: 10, rows: 515)
    #expect(samples.accumulated(batch: batch, padding: batch % 7) == samples.accumulated())
  }

  @Test(arguments: [(0, 10), (5, 10), (20, 100)])
  func sumsSurviveJSONToTheBit(experts: Int, classes: Int) throws {
    let samples = random(experts: experts, classes: classes, rows: 211)
    var sums = MetricsAccumulator(experts: experts, classes: classes)
    samples.add(to: &sums, from: 0, to: 100)
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let text = try encoder.encode(sums)
    var restored = try JSONDecoder().decode(MetricsAccumulator.self, from: text)
    #expect(restored == sums)
    #expect(try encoder.encode(restored) == text)
    // Half an epoch, a checkpoint, the other half: the same bits as in one go.
    samples.add(to: &restored, from: 100, to: 211)
    #expect(restored == samples.accumulated())
    #expect(restored.metrics() == samples.metrics())
  }

  @Test func sumsThatContradictEachOtherAreRefused() throws {
    var samples = Samples(experts: 2, classes: 2)
    samples.append([0.5, 0.5], label: 1)
    let text = String(decoding: try JSONEncoder().encode(samples.accumulated()), as: UTF8.self)
    for (good, bad) in [
      ("\"experts\":2", "\"experts\":3"), ("\"classes\":2", "\"classes\":0"), ("\"rows\":1", "\"rows\":2"),
      ("\"wrong\":0", "\"wrong\":-1"), ("\"experts\":2", "\"experts\":4611686018427387904"),
      ("\"hardTable\":[0,1,0,0]", "\"hardTable\":[0,2,-1,0]"),
    ] {
      #expect(text.contains(good))
      let broken = text.replacingOccurrences(of: good, with: bad)
      #expect(throws: DecodingError.self) {
        try JSONDecoder().decode(MetricsAccumulator.self, from: Data(broken.utf8))
      }
    }
  }
}
