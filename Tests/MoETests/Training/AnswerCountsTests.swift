import Dist
import Foundation
import Records
import TestSupport
import Testing
import Training

/// Whose answers are right, by class: counts of evaluations, for every number of ranks the same.
struct AnswerCountsTests {
  /// Samples whose every value is a formula of their number.
  private func sums(experts: Int, classes: Int, rows: Int, batch: Int, counts: Bool = true)
    -> MetricsAccumulator
  {
    var sums = MetricsAccumulator(experts: experts, classes: classes, countsAnswers: counts)
    for start in stride(from: 0, to: rows, by: batch) {
      let numbers = Array(start..<min(start + batch, rows))
      sums.add(
        rows: numbers.count,
        probabilities: experts > 0 ? [Float](repeating: 0.5, count: experts * numbers.count) : nil,
        stride: numbers.count, entropies: experts > 0 ? numbers.map { _ in 0 } : nil,
        labels: numbers.map { UInt8($0 % classes) }, losses: numbers.map { _ in 0 },
        predictions: numbers.map { Int32($0 / 3 % classes) },
        chosenExperts: experts > 0 ? numbers.map { Int32($0 / 7 % experts) } : nil,
        chosenClasses: experts > 0 ? numbers.map { Int32($0 / 5 % classes) } : nil,
        labelRanks: numbers.map { _ in 0 })
    }
    return sums
  }

  @Test(arguments: [(0, 3), (2, 3), (5, 10)])
  func answersAreCountedByClass(experts: Int, classes: Int) throws {
    let rows = 211
    let metrics = sums(experts: experts, classes: classes, rows: rows, batch: 64).metrics()
    let confusion = try #require(metrics.confusion)
    for label in 0..<classes {
      for predicted in 0..<classes {
        let count = (0..<rows).count { $0 % classes == label && $0 / 3 % classes == predicted }
        #expect(confusion[label][predicted] == count)
      }
    }
    #expect(metrics.gates.isEmpty == (experts == 0))
    guard experts > 0 else { return }
    let correct = try #require(metrics.gates[0].correctTable)
    for expert in 0..<experts {
      for label in 0..<classes {
        let count = (0..<rows).count {
          $0 % classes == label && $0 / 7 % experts == expert && $0 / 5 % classes == label
        }
        #expect(correct[expert][label] == count)
      }
    }
  }

  /// In training nobody asks, and a checkpoint has the same bytes as before.
  @Test func trainingCountsNoAnswers() throws {
    let plain = sums(experts: 2, classes: 3, rows: 50, batch: 50, counts: false)
    #expect(plain.metrics().confusion == nil && plain.metrics().gates[0].correctTable == nil)
    #expect(try sums(experts: 2, classes: 3, rows: 50, batch: 50).text() == plain.text())
  }

  @Test func tablesAreText() throws {
    let directory = TemporaryDirectory()
    let run = try RunDirectory.create(directory.path + "/run")
    try run.write(tablesOf: sums(experts: 2, classes: 2, rows: 8, batch: 8).metrics())
    func text(_ name: String) throws -> String {
      String(decoding: try Data(contentsOf: URL(fileURLWithPath: run.path + "/" + name)), as: UTF8.self)
    }
    // Predictions of samples 0 … 7: 0 0 0 1 1 1 0 0; labels 0 1 0 1 0 1 0 1.
    #expect(try text("confusion.csv") == "true,predicted_0,predicted_1\n0,3,1\n1,2,2\n")
    // Experts: 0 but for sample 7; their classes: 0 0 0 0 0 1 1 1.
    #expect(try text("expert_class_correct.csv") == "expert,class_0,class_1\n0,3,1\n1,0,1\n")
  }

  /// A run's own files: the trace of the confusion matrix is the accuracy, and all ranks write the same.
  @Test func ranksAndPlacesChangeNoCount() throws {
    let directory = TemporaryDirectory()
    func files(_ name: String, ranks: Int, gate: GatePlacement, placement: String) throws -> [String] {
      let path = directory.path + "/" + name
      _ = try LocalGroup.run(ranks: ranks) { communicator in
        var configuration = try Configuration(dataset: "synthetic")
        configuration.experts = 3
        configuration.combine = .topK
        configuration.trainSamples = 200
        configuration.testSamples = 90
        configuration.batchSize = 50
        configuration.epochs = 1
        configuration.gatePlacement = gate
        configuration.placement = placement
        configuration.runDirectory = path
        return try TrainingRun(configuration).train(over: communicator).state
      }
      return try ["expert_class_correct.csv", "confusion.csv", "expert_class.csv"].map {
        String(decoding: try Data(contentsOf: URL(fileURLWithPath: path + "/" + $0)), as: UTF8.self)
      }
    }
    let one = try files("one", ranks: 1, gate: .root, placement: "auto")
    let rows = one[1].split(separator: "\n").dropFirst().map {
      $0.split(separator: ",").dropFirst().compactMap { Int($0) }
    }
    #expect(rows.joined().reduce(0, +) == 90 && rows.allSatisfy { $0.count == rows.count })
    for (name, ranks, gate, placement) in [
      ("a", 2, GatePlacement.root, "auto"), ("b", 2, .replicated, "round-robin"),
      ("c", 3, .replicated, "block"),
    ] {
      #expect(try files(name, ranks: ranks, gate: gate, placement: placement) == one, "\(name)")
    }
  }
}
