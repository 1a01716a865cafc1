// E experts, C classes. Tables are flat: cell (i, c) is i·C + c.

/// Whose answers were right, by class: counts of an evaluation. They are no part of a checkpoint.
struct AnswerCounts: Equatable {
  private let experts: Int
  private let classes: Int
  /// True class × the model's class.
  private var confusion: [Int]
  /// Of every layer with a gate: arg-max expert × true class, the samples whose class this expert holds likeliest.
  private var correct: [[Int]]

  init(experts: Int, classes: Int, layers: Int) {
    self.experts = experts
    self.classes = classes
    confusion = Array(repeating: 0, count: classes * classes)
    correct = Array(
      repeating: Array(repeating: 0, count: experts * classes), count: experts > 0 ? layers : 0)
  }

  /// Adds the model's classes of samples whose labels are below C.
  mutating func add(rows: Int, labels: UnsafePointer<UInt8>, predictions: UnsafePointer<Int32>) {
    for row in 0..<rows {
      let predicted = Int(predictions[row])
      precondition(predicted >= 0 && predicted < classes, "a model predicts a class")
      confusion[Int(labels[row]) * classes + predicted] += 1
    }
  }

  /// Adds what the chosen experts of a layer, from 0, say of the same samples.
  mutating func add(
    layer: Int, rows: Int, labels: UnsafePointer<UInt8>, chosenExperts: UnsafePointer<Int32>,
    chosenClasses: UnsafePointer<Int32>
  ) {
    for row in 0..<rows where chosenClasses[row] == Int32(labels[row]) {
      correct[layer][Int(chosenExperts[row]) * classes + Int(labels[row])] += 1
    }
  }

  /// [C][C] samples by true class and the model's class.
  var confusionTable: [[Int]] { table(confusion, rows: classes) }

  /// [E][C] of a layer, from 0.
  func correctTable(ofLayer layer: Int) -> [[Int]] { table(correct[layer], rows: experts) }

  private func table(_ cells: [Int], rows: Int) -> [[Int]] {
    (0..<rows).map { Array(cells[$0 * classes..<($0 + 1) * classes]) }
  }
}
