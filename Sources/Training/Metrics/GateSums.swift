internal import Numerics
internal import Records

// E experts, C classes. Tables are flat: cell (e, c) is e·C + c.

/// Sums over samples from which the figures of one layer's gate follow; a part of ``MetricsAccumulator``.
struct GateSums: Equatable, Codable {
  /// In nats.
  private(set) var entropySum = 0.0
  /// Arg-max expert × true class.
  private(set) var hardTable: [Int]
  /// Arg-max expert × the class that this expert holds likeliest.
  private(set) var ownTable: [Int]
  /// Sums of p_e by true class.
  private(set) var softTable: [Double]

  init(experts: Int, classes: Int) {
    hardTable = Array(repeating: 0, count: experts * classes)
    ownTable = Array(repeating: 0, count: experts * classes)
    softTable = Array(repeating: 0, count: experts * classes)
  }

  init(entropySum: Double, hardTable: [Int], ownTable: [Int], softTable: [Double]) {
    self.entropySum = entropySum
    self.hardTable = hardTable
    self.ownTable = ownTable
    self.softTable = softTable
  }

  /// Adds samples in ascending order, whose labels are below `classes`.
  mutating func add(_ batch: GateBatch, rows: Int, labels: UnsafePointer<UInt8>, experts: Int, classes: Int) {
    precondition(batch.stride >= rows, "rows of two experts overlap")
    for row in 0..<rows {
      let expert = Int(batch.chosenExperts[row])
      let own = Int(batch.chosenClasses[row])
      precondition(expert >= 0 && expert < experts, "the chosen expert is one of the experts")
      precondition(own >= 0 && own < classes, "the expert's class is a class")
      precondition(Int(labels[row]) < classes, "a label is a class")
      entropySum += Double(batch.entropies[row])
      hardTable[expert * classes + Int(labels[row])] += 1
      ownTable[expert * classes + own] += 1
    }
    softTable.withUnsafeMutableBufferPointer { table in
      // Safe because every label was checked against `classes` above.
      guard var cells = table.baseAddress else { return }
      var ofExpert = batch.probabilities
      for _ in 0..<experts {
        for row in 0..<rows { cells[Int(labels[row])] += Double(ofExpert[row]) }
        cells += classes
        ofExpert += batch.stride
      }
    }
  }

  /// Samples that were added.
  var rows: Int { hardTable.reduce(0, &+) }

  /// [E] samples that each expert was chosen for.
  func selected(experts: Int, classes: Int) -> [Int] {
    (0..<experts).map { hardTable[$0 * classes..<($0 + 1) * classes].reduce(0, +) }
  }

  /// The figures of the samples added so far; nil where there is none.
  func figures(experts: Int, classes: Int) -> GateFigures? {
    let rows = rows
    guard rows > 0 else { return nil }
    func byExpert<Value>(_ table: [Value]) -> [[Value]] {
      (0..<experts).map { Array(table[$0 * classes..<($0 + 1) * classes]) }
    }
    let hard = byExpert(hardTable)
    let soft = byExpert(softTable)
    let selected = selected(experts: experts, classes: classes)
    var taskEntropies: [Double] = []
    for label in 0..<classes {
      let samples = hard.reduce(0) { $0 + $1[label] }
      guard samples > 0 else { continue }
      taskEntropies.append(entropyInBits(soft.lazy.map { $0[label] / Double(samples) }))
    }
    var figures = GateFigures()
    figures.mutualInformation = mutualInformationInBits(counts: ownTable, columns: classes)
    figures.mutualInformationTrue = mutualInformationInBits(counts: hardTable, columns: classes)
    figures.sampleEntropy = entropySum / Double(rows) * log2OfE
    figures.usageEntropy = entropyInBits(soft.map { $0.reduce(0, +) / Double(rows) })
    figures.taskEntropy = taskEntropies.reduce(0, +) / Double(taskEntropies.count)
    figures.expertShare = selected.map { Double($0) / Double(rows) }
    figures.deadExperts = selected.count { ExpertUse.isDead(selected: $0, of: rows, experts: experts) }
    figures.hardTable = hard
    figures.softTable = soft
    return figures
  }

  /// Whether these can be sums over so many samples at most.
  func fits(cells: Int, rows: Int) -> Bool {
    let tables = [hardTable, ownTable]
    let isCounted = tables.allSatisfy { $0.count == cells && $0.allSatisfy { 0...rows ~= $0 } }
    return isCounted && softTable.count == cells && 0...rows ~= self.rows
      && ownTable.reduce(0, &+) == self.rows
  }
}

/// What one layer's gate says of samples.
struct GateBatch {
  /// p_e(x), feature-major [E][stride].
  let probabilities: UnsafePointer<Float>
  /// Floats from one expert's probabilities to the next, at least as many as rows.
  let stride: Int
  /// [rows] H(p(x)) in nats.
  let entropies: UnsafePointer<Float>
  /// [rows] the expert with the largest logit.
  let chosenExperts: UnsafePointer<Int32>
  /// [rows] the likeliest class of that expert, or of the model where experts have none.
  let chosenClasses: UnsafePointer<Int32>
}
