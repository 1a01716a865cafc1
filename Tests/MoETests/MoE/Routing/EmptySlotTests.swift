import Glibc
import KernelInterface
import MoE
import Numerics
import TestSupport
import Testing
import Training

/// The mixture kernel on tables with empty slots, against the Double reference row by row.
struct EmptySlotTests {
  static let rows = 45
  static let experts = 4
  static let classes = 6

  struct Case: Sendable, CustomTestStringConvertible {
    var k: Int
    var full: Bool
    /// Answers lie by expert, not by slot.
    var everyExpertAnswers = false
    var temperature = 1.0
    var expertTemperature: Double?

    var testDescription: String {
      "top-\(k), \(full ? "full" : "renormalised"), every expert answers \(everyExpertAnswers), T \(temperature), "
        + "\(expertTemperature ?? temperature)"
    }
  }

  static let cases: [Case] = [1, 2, 3, 4].flatMap { k in
    [true, false].flatMap { full in
      [
        Case(k: k, full: full), Case(k: k, full: full, everyExpertAnswers: true),
        Case(k: k, full: full, temperature: 2, expertTemperature: 0.5),
      ]
    }
  }

  /// The experts of every row: k, of which a third is dropped; every fifth row has none, every seventh all.
  private static func selected(_ test: Case, _ scores: [[Double]]) -> [[Int]] {
    var generator = SplitMix(state: UInt64(test.k))
    return scores.enumerated().map { row, scores in
      ReferenceRule.topK(test.k, full: test.full).selected(scores).map { e in
        let drops = row % 5 == 0 || (row % 7 != 0 && generator.below(3) == 0)
        return drops ? SlotTable.empty : e
      }
    }
  }

  @Test(arguments: cases)
  func everyRowIsTheReferences(_ test: Case) {
    let workspace = Workspace()
    var generator = SplitMix(state: 5)
    let scores = randomScores(rows: Self.rows, experts: Self.experts, seed: 6)
    let slots = Self.selected(test, scores)
    let answers = scores.map { _ in
      (0..<Self.experts).map { _ in
        logSoftmax((0..<Self.classes).map { _ in Double(Float(generator.symmetric(3))) }).map {
          Double(Float($0))
        }
      }
    }
    let labels = scores.indices.map { $0 * 5 % Self.classes }
    var table = SlotTable(slots: test.k, rows: Self.rows)
    for (row, experts) in slots.enumerated() {
      for (slot, e) in experts.enumerated() { table[row, slot] = e }
    }
    let places = test.everyExpertAnswers ? Self.experts : test.k
    let input = map(places * Self.classes, Self.rows, in: workspace) { feature, row in
      let (place, c) = feature.quotientAndRemainder(dividingBy: Self.classes)
      let e = test.everyExpertAnswers ? place : slots[row][place]
      return e < 0 ? 0 : Float(answers[row][e][c])
    }
    let rule = MixtureRule(
      experts: Self.experts, layout: AnswerLayout(classes: Self.classes, hidden: 0),
      temperature: Float(test.temperature), expertTemperature: test.expertTemperature.map { Float($0) },
      weights: test.full ? .full : .renormalised, jacobs: false, everyExpertAnswers: test.everyExpertAnswers)
    let report = workspace.map(features: RowReport.allCases.count, rows: Self.rows)
    let ofGate = workspace.map(features: Self.experts, rows: Self.rows)
    let ofExperts =
      test.expertTemperature == nil ? ofGate : workspace.map(features: Self.experts, rows: Self.rows)
    let ofAnswers = workspace.map(features: input.features, rows: Self.rows)
    ShardMixture(
      scores: map(Self.experts, Self.rows, in: workspace) { Float(scores[$1][$0]) }, answers: input,
      table: table, labels: labels.map { UInt8($0) }, batchRows: Self.rows
    ).run(
      rule, report: report,
      gradients: MixtureGradients(gateScores: ofGate, expertScores: ofExperts, answers: ofAnswers),
      in: workspace)

    let b = Double(Self.rows)
    for row in scores.indices {
      let experts = slots[row].filter { $0 >= 0 }
      func reference(_ temperature: Double) -> ReferenceRowLoss {
        ReferenceRowLoss(
          rule: .topK(test.k, full: test.full), temperature: temperature, gateLogits: scores[row],
          selected: experts, answers: experts.map { answers[row][$0] }, label: labels[row],
          classes: Self.classes)
      }
      let expected = reference(test.temperature)
      let trained = test.expertTemperature.map(reference) ?? expected
      func found(_ item: RowReport) -> Double { Double(report[item.rawValue][row]) }
      #expect(abs(found(.loss) - expected.loss) < 2e-6, "row \(row)")
      #expect(found(.crossEntropy) == found(.loss), "row \(row)")
      let best = expected.logMixture.max() ?? 0
      #expect(abs(found(.confidence) - exp(best)) < 1e-6, "row \(row)")
      #expect(expected.logMixture[Int(found(.prediction))] > best - 1e-6, "row \(row)")
      for e in 0..<Self.experts {
        #expect(abs(b * Double(ofGate[e][row]) - expected.gateGradient[e]) < 2e-6, "row \(row), expert \(e)")
        #expect(
          abs(b * Double(ofExperts[e][row]) - trained.gateGradient[e]) < 5e-6, "row \(row), expert \(e)")
      }
      // The kernel's gradient is by ln y: −(share of the slot) at the label and 0 elsewhere.
      for place in 0..<places {
        let e = test.everyExpertAnswers ? place : slots[row][place]
        let share = experts.firstIndex(of: e).map { number in
          let c = labels[row]
          return -trained.expertGradients[number][c] / (1 - exp(answers[row][e][c]))
        }
        for c in 0..<Self.classes {
          let value = Double(ofAnswers[place * Self.classes + c][row])
          #expect(abs(b * value + (c == labels[row] ? share ?? 0 : 0)) < 1e-5, "row \(row), place \(place)")
        }
      }
      guard experts.isEmpty else { continue }
      // Uniform, and nothing to learn, exactly.
      #expect(
        abs(found(.loss) - log(6.0)) < 1e-6 && found(.prediction) == 0
          && found(.labelRank) == Double(labels[row]))
      #expect((0..<Self.experts).allSatisfy { ofGate[$0][row] == 0 && ofExperts[$0][row] == 0 })
      #expect((0..<input.features).allSatisfy { ofAnswers[$0][row] == 0 })
    }
  }
}
