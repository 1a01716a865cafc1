package import MoE
internal import Numerics
package import Records

// E experts, C classes. Tables are flat: cell (e, c) is e·C + c.

/// Sums over samples from which every figure of ``Metrics`` follows.
///
/// Counts are integers and sums are taken in Double in the order of the calls, so one who adds samples in ascending
/// order gets the same bits however the samples are cut into calls. Codable: an epoch's sums travel in a checkpoint,
/// and Swift writes a Double in the shortest text that reads back as the same bits.
package struct MetricsAccumulator: Equatable {
  /// 0: a single model, without figures about a gate.
  package let experts: Int
  package let classes: Int
  package private(set) var rows = 0
  private var lossSum = 0.0
  private var crossEntropySum = 0.0
  private var wrong = 0
  private var outsideTopFive = 0
  /// Of the losses of the gate's choice, weighted by rows, in the order in which they came.
  private var routingSums: [NamedFigure] = []
  /// In nats.
  private var entropySum = 0.0
  /// Arg-max expert × true class.
  private var hardTable: [Int]
  /// Arg-max expert × the class that this expert holds likeliest.
  private var ownTable: [Int]
  /// Sums of p_e by true class.
  private var softTable: [Double]

  package init(experts: Int, classes: Int) {
    precondition(experts >= 0 && classes > 0, "metrics need at least one class")
    self.experts = experts
    self.classes = classes
    hardTable = Array(repeating: 0, count: experts * classes)
    ownTable = Array(repeating: 0, count: experts * classes)
    softTable = Array(repeating: 0, count: experts * classes)
  }

  /// Adds samples in ascending order.
  ///
  /// - Parameters:
  ///   - rows: how many samples.
  ///   - probabilities: p_e(x), feature-major [E][stride]; nil without a gate.
  ///   - stride: floats from one expert's probabilities to the next, at least `rows`.
  ///   - entropies: [rows] H(p(x)) in nats; nil without a gate.
  ///   - labels: [rows] the true classes.
  ///   - losses: [rows] −ln m_label.
  ///   - predictions: [rows] the model's class.
  ///   - chosenExperts: [rows] the expert with the largest logit; nil without a gate.
  ///   - chosenClasses: [rows] that expert's own likeliest class; nil without a gate.
  ///   - labelRanks: [rows] how many classes are likelier than the label, or as likely with a lower number.
  ///   - objectives: [rows] what training minimises, where that is not `losses`.
  package mutating func add(
    rows: Int, probabilities: UnsafePointer<Float>?, stride: Int, entropies: UnsafePointer<Float>?,
    labels: UnsafePointer<UInt8>, losses: UnsafePointer<Float>, predictions: UnsafePointer<Int32>,
    chosenExperts: UnsafePointer<Int32>?, chosenClasses: UnsafePointer<Int32>?,
    labelRanks: UnsafePointer<Int32>, objectives: UnsafePointer<Float>? = nil
  ) {
    precondition(rows >= 0, "a number of samples is not negative")
    self.rows += rows
    let objectives = objectives ?? losses
    for row in 0..<rows {
      precondition(Int(labels[row]) < classes, "a label is a class")
      lossSum += Double(objectives[row])
      crossEntropySum += Double(losses[row])
      if predictions[row] != Int32(labels[row]) { wrong += 1 }
      if labelRanks[row] >= 5 { outsideTopFive += 1 }
    }
    guard experts > 0 else { return }
    guard let probabilities, let entropies, let chosenExperts, let chosenClasses else {
      preconditionFailure("a model with a gate needs the gate's values")
    }
    precondition(stride >= rows, "rows of two experts overlap")
    for row in 0..<rows {
      let expert = Int(chosenExperts[row])
      let own = Int(chosenClasses[row])
      precondition(expert >= 0 && expert < experts, "the chosen expert is one of the experts")
      precondition(own >= 0 && own < classes, "the expert's class is a class")
      entropySum += Double(entropies[row])
      hardTable[expert * classes + Int(labels[row])] += 1
      ownTable[expert * classes + own] += 1
    }
    let classes = classes
    softTable.withUnsafeMutableBufferPointer { table in
      // Safe because every label was checked against `classes` above.
      var cells = table.baseAddress!
      var ofExpert = probabilities
      for _ in 0..<experts {
        for row in 0..<rows { cells[Int(labels[row])] += Double(ofExpert[row]) }
        cells += classes
        ofExpert += stride
      }
    }
  }

  /// Adds what losses of the gate's choice said of a batch of so many rows.
  package mutating func add(_ losses: [NamedValue], rows: Int) {
    lossSum += losses.total * Double(rows)
    for loss in losses {
      let added = loss.reported * Double(rows)
      if let place = routingSums.firstIndex(where: { $0.name == loss.name }) {
        routingSums[place].value += added
      } else {
        routingSums.append(NamedFigure(loss.name, added))
      }
    }
  }

  /// The figures for all samples added so far, of which there must be at least one.
  package func metrics() -> Metrics {
    precondition(rows > 0, "there are no metrics of no samples")
    let count = Double(rows)
    let gate = experts > 0 ? gateFigures() : nil
    return Metrics(
      rows: rows, loss: lossSum / count, crossEntropy: crossEntropySum / count,
      routingLosses: routingSums.map { NamedFigure($0.name, $0.value / count) },
      error: Double(wrong) / count,
      topFiveError: classes > 10 ? Double(outsideTopFive) / count : nil,
      mutualInformation: gate.map { _ in mutualInformationInBits(counts: ownTable, columns: classes) },
      mutualInformationTrue: gate.map { _ in mutualInformationInBits(counts: hardTable, columns: classes) },
      sampleEntropy: gate.map { _ in entropySum / count * log2OfE },
      usageEntropy: gate?.usageEntropy, taskEntropy: gate?.taskEntropy, expertShare: gate?.share,
      deadExperts: gate?.dead, hardTable: gate.map { _ in byExpert(hardTable) },
      softTable: gate.map { _ in byExpert(softTable) })
  }

  private func gateFigures() -> (usageEntropy: Double, taskEntropy: Double, share: [Double], dead: Int) {
    let hard = byExpert(hardTable)
    let soft = byExpert(softTable)
    let selected = hard.map { $0.reduce(0, +) }
    let usage = soft.map { $0.reduce(0, +) / Double(rows) }
    var taskEntropies: [Double] = []
    for label in 0..<classes {
      let samples = hard.reduce(0) { $0 + $1[label] }
      guard samples > 0 else { continue }
      taskEntropies.append(entropyInBits(soft.lazy.map { $0[label] / Double(samples) }))
    }
    return (
      entropyInBits(usage), taskEntropies.reduce(0, +) / Double(taskEntropies.count),
      selected.map { Double($0) / Double(rows) },
      selected.count { $0 * 100 < rows }
    )
  }

  private func byExpert<Value>(_ table: [Value]) -> [[Value]] {
    (0..<experts).map { Array(table[$0 * classes..<($0 + 1) * classes]) }
  }
}

extension MetricsAccumulator: Codable {
  private enum CodingKeys: String, CodingKey {
    case experts, classes, rows, lossSum, crossEntropySum, importanceSum, similaritySum, routingSums, wrong,
      outsideTopFive, entropySum
    case hardTable, ownTable, softTable
  }

  /// The losses of the first version, which have keys of their own; they come first in the list of losses.
  private static let firstLosses: [(name: String, key: CodingKeys)] = [
    ("importance_loss", .importanceSum), ("similarity_loss", .similaritySum),
  ]

  package func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(experts, forKey: .experts)
    try values.encode(classes, forKey: .classes)
    try values.encode(rows, forKey: .rows)
    try values.encode(lossSum, forKey: .lossSum)
    try values.encode(crossEntropySum, forKey: .crossEntropySum)
    var others: [NamedFigure] = []
    for sum in routingSums {
      if let first = Self.firstLosses.first(where: { $0.name == sum.name }) {
        try values.encode(sum.value, forKey: first.key)
      } else {
        others.append(sum)
      }
    }
    if !others.isEmpty { try values.encode(others, forKey: .routingSums) }
    try values.encode(wrong, forKey: .wrong)
    try values.encode(outsideTopFive, forKey: .outsideTopFive)
    try values.encode(entropySum, forKey: .entropySum)
    try values.encode(hardTable, forKey: .hardTable)
    try values.encode(ownTable, forKey: .ownTable)
    try values.encode(softTable, forKey: .softTable)
  }

  /// Reads sums back; throws a DecodingError where they cannot be those of any set of samples.
  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    experts = try values.decode(Int.self, forKey: .experts)
    classes = try values.decode(Int.self, forKey: .classes)
    rows = try values.decode(Int.self, forKey: .rows)
    lossSum = try values.decode(Double.self, forKey: .lossSum)
    crossEntropySum = try values.decode(Double.self, forKey: .crossEntropySum)
    for (name, key) in Self.firstLosses {
      guard let sum = try values.decodeIfPresent(Double.self, forKey: key) else { continue }
      routingSums.append(NamedFigure(name, sum))
    }
    routingSums += try values.decodeIfPresent([NamedFigure].self, forKey: .routingSums) ?? []
    wrong = try values.decode(Int.self, forKey: .wrong)
    outsideTopFive = try values.decode(Int.self, forKey: .outsideTopFive)
    entropySum = try values.decode(Double.self, forKey: .entropySum)
    hardTable = try values.decode([Int].self, forKey: .hardTable)
    ownTable = try values.decode([Int].self, forKey: .ownTable)
    softTable = try values.decode([Double].self, forKey: .softTable)

    let (cells, overflow) = experts.multipliedReportingOverflow(by: classes)
    let tables = [hardTable, ownTable]
    let counted = experts > 0 ? rows : 0
    guard experts >= 0, classes > 0, !overflow, rows >= 0, 0...rows ~= wrong, 0...rows ~= outsideTopFive,
      softTable.count == cells, tables.allSatisfy({ $0.count == cells && $0.allSatisfy { 0...rows ~= $0 } }),
      tables.allSatisfy({ $0.reduce(0, &+) == counted })
    else {
      throw DecodingError.dataCorrupted(
        .init(
          codingPath: decoder.codingPath,
          debugDescription:
            "sums over \(rows) samples, \(experts) experts and \(classes) classes contradict each other"))
    }
  }
}
