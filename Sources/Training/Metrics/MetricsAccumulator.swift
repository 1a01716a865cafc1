package import MoE
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
  /// Of the first layer's gate; empty tables for a single model.
  private var firstGate: GateSums
  /// Of the gates of the second layer and on.
  private var furtherGates: [GateSums]
  /// Nil where nobody asks for them, as in training.
  private var answers: AnswerCounts?

  /// - Parameters:
  ///   - layers: mixture layers, at least 1; without experts none of them has a gate.
  ///   - countsAnswers: whether to count whose answers are right, which is not saved.
  package init(experts: Int, classes: Int, layers: Int = 1, countsAnswers: Bool = false) {
    precondition(experts >= 0 && classes > 0 && layers > 0, "metrics need at least one class and one layer")
    self.experts = experts
    self.classes = classes
    let empty = GateSums(experts: experts, classes: classes)
    firstGate = empty
    furtherGates = Array(repeating: empty, count: experts > 0 ? layers - 1 : 0)
    if countsAnswers { answers = AnswerCounts(experts: experts, classes: classes, layers: layers) }
  }

  /// Layers with a gate, or 1.
  package var layers: Int { 1 + furtherGates.count }

  /// Adds samples in ascending order; the gate's values are those of the first layer.
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
    answers?.add(rows: rows, labels: labels, predictions: predictions)
    guard experts > 0 else { return }
    guard let probabilities, let entropies, let chosenExperts, let chosenClasses else {
      preconditionFailure("a model with a gate needs the gate's values")
    }
    firstGate.add(
      GateBatch(
        probabilities: probabilities, stride: stride, entropies: entropies, chosenExperts: chosenExperts,
        chosenClasses: chosenClasses), rows: rows, labels: labels, experts: experts, classes: classes)
    answers?.add(
      layer: 0, rows: rows, labels: labels, chosenExperts: chosenExperts, chosenClasses: chosenClasses)
  }

  /// Adds what the gate of a further layer says of the samples of the last call of
  /// ``add(rows:probabilities:stride:entropies:labels:losses:predictions:chosenExperts:chosenClasses:labelRanks:objectives:)``.
  ///
  /// - Parameter layer: from 1, the second; the others are as there.
  package mutating func add(
    layer: Int, rows: Int, probabilities: UnsafePointer<Float>, stride: Int, entropies: UnsafePointer<Float>,
    labels: UnsafePointer<UInt8>, chosenExperts: UnsafePointer<Int32>, chosenClasses: UnsafePointer<Int32>
  ) {
    furtherGates[layer - 1].add(
      GateBatch(
        probabilities: probabilities, stride: stride, entropies: entropies, chosenExperts: chosenExperts,
        chosenClasses: chosenClasses), rows: rows, labels: labels, experts: experts, classes: classes)
    answers?.add(
      layer: layer, rows: rows, labels: labels, chosenExperts: chosenExperts, chosenClasses: chosenClasses)
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

  /// Mean of what training minimises, over at least one sample.
  var meanLoss: Double { lossSum / Double(rows) }

  /// [E] share of the samples that each expert of the first layer was chosen for; empty without a gate, or a sample.
  var shares: [Double] {
    guard experts > 0, rows > 0 else { return [] }
    return firstGate.selected(experts: experts, classes: classes).map { Double($0) / Double(rows) }
  }

  /// The figures for all samples added so far, of which there must be at least one.
  package func metrics() -> Metrics {
    precondition(rows > 0, "there are no metrics of no samples")
    let count = Double(rows)
    let first = experts > 0 ? [firstGate.figures(experts: experts, classes: classes)].compactMap { $0 } : []
    let further = furtherGates.compactMap { $0.figures(experts: experts, classes: classes) }
    // A layer without samples has no figures, and the places of the others say which they are.
    var gates = first + (further.count == furtherGates.count ? further : [])
    if let answers {
      for layer in gates.indices { gates[layer].correctTable = answers.correctTable(ofLayer: layer) }
    }
    return Metrics(
      rows: rows, loss: lossSum / count, crossEntropy: crossEntropySum / count,
      routingLosses: routingSums.map { NamedFigure($0.name, $0.value / count) },
      error: Double(wrong) / count,
      topFiveError: classes > 10 ? Double(outsideTopFive) / count : nil,
      gates: gates, confusion: answers?.confusionTable)
  }

  /// These sums, for a model whose empty sums are given; nil where they are another model's.
  ///
  /// Version 0.1.0 kept the first layer's gate alone: further layers then begin without samples, and their figures of the
  /// epoch under way are about the samples that follow.
  package func completed(like empty: MetricsAccumulator) -> MetricsAccumulator? {
    guard experts == empty.experts, classes == empty.classes, layers == 1 || layers == empty.layers else {
      return nil
    }
    var sums = self
    if layers == 1 { sums.furtherGates = empty.furtherGates }
    return sums
  }
}

extension MetricsAccumulator: Codable {
  private enum CodingKeys: String, CodingKey {
    case experts, classes, rows, lossSum, crossEntropySum, importanceSum, similaritySum, routingSums, wrong,
      outsideTopFive, entropySum
    case hardTable, ownTable, softTable
    /// Of the second layer's gate and on, where there are several.
    case layers
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
    try values.encode(firstGate.entropySum, forKey: .entropySum)
    try values.encode(firstGate.hardTable, forKey: .hardTable)
    try values.encode(firstGate.ownTable, forKey: .ownTable)
    try values.encode(firstGate.softTable, forKey: .softTable)
    if !furtherGates.isEmpty { try values.encode(furtherGates, forKey: .layers) }
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
    firstGate = GateSums(
      entropySum: try values.decode(Double.self, forKey: .entropySum),
      hardTable: try values.decode([Int].self, forKey: .hardTable),
      ownTable: try values.decode([Int].self, forKey: .ownTable),
      softTable: try values.decode([Double].self, forKey: .softTable))
    furtherGates = try values.decodeIfPresent([GateSums].self, forKey: .layers) ?? []

    let (cells, overflow) = experts.multipliedReportingOverflow(by: classes)
    guard experts >= 0, classes > 0, !overflow, rows >= 0, 0...rows ~= wrong, 0...rows ~= outsideTopFive,
      experts > 0 || furtherGates.isEmpty, firstGate.rows == (experts > 0 ? rows : 0),
      ([firstGate] + furtherGates).allSatisfy({ $0.fits(cells: cells, rows: rows) })
    else {
      throw DecodingError.dataCorrupted(
        .init(
          codingPath: decoder.codingPath,
          debugDescription:
            "sums over \(rows) samples, \(experts) experts and \(classes) classes contradict each other"))
    }
  }
}
