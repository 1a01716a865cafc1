import KernelInterface
import MoE
import Numerics
import Testing

/// A linear readout against y = Σ p·o over the chosen experts and its derivatives, in double precision.
struct LinearCombineTests {
  static let experts = 4
  static let features = 3
  static let rows = 19

  /// Two experts of every row; of every fourth one alone, of every fifth none.
  static func table() -> SlotTable {
    var table = SlotTable(slots: 2, rows: rows)
    for row in 0..<rows where row % 5 != 0 {
      table[row, 0] = row % 2
      if row % 4 != 0 { table[row, 1] = 2 + row % 2 }
    }
    return table
  }

  private struct Plain {
    let scores: [[Double]]
    let answers: [[[Double]]]
    let chosen: [[Int]]
    let isFull: Bool
    let temperature: Double

    /// Σ r·y
    func value(_ r: [[Double]], scores: [[Double]]) -> Double {
      var sum = 0.0
      for row in scores.indices {
        let powers = scores[row].map { exponential(($0 - scores[row].max()!) / temperature) }
        let mass = isFull ? powers.reduce(0, +) : chosen[row].reduce(0) { $0 + powers[$1] }
        for (slot, expert) in chosen[row].enumerated() {
          for f in 0..<LinearCombineTests.features {
            sum += r[row][f] * powers[expert] / mass * answers[row][slot][f]
          }
        }
      }
      return sum
    }

    /// eˣ of x ≤ 0.
    private func exponential(_ x: Double) -> Double {
      var small = 1.0
      var term = 1.0
      for n in 1...30 {
        term *= x / 64 / Double(n)
        small += term
      }
      for _ in 0..<6 { small *= small }
      return small
    }
  }

  @Test(arguments: [LinearCombine.Weights.full, .renormalised], [1.0, 0.1])
  func outputsAndGradientsAreTheFormulas(_ weights: LinearCombine.Weights, _ temperature: Double) throws {
    let workspace = Workspace()
    var values = KernelTests.Values(state: 77)
    func map(_ features: Int) -> FeatureMap {
      let map = workspace.map(features: features, rows: Self.rows)
      map.write((0..<Self.rows).map { _ in (0..<features).map { _ in values.next() } })
      return map
    }
    func column(_ map: FeatureMap, _ row: Int, _ range: Range<Int>) -> [Double] {
      range.map { Double(map[$0][row]) }
    }
    let table = Self.table()
    let (scores, answers, r) = (map(Self.experts), map(2 * Self.features), map(Self.features))
    // The layer has zeros in empty slots.
    for row in 0..<Self.rows {
      for slot in 0..<2 where table[row, slot] == SlotTable.empty {
        for f in 0..<Self.features { answers[slot * Self.features + f][row] = 0 }
      }
    }
    let slots = SlotView(
      scores: scores, answers: answers, layout: AnswerLayout(classes: Self.features, hidden: 0), table: table)
    let readout = LinearCombine(weights, temperature: Float(temperature))
    let y = workspace.map(features: Self.features, rows: Self.rows)
    readout.forward(slots, into: y, in: workspace)
    let ofScores = workspace.map(features: Self.experts, rows: Self.rows)
    let ofAnswers = workspace.map(features: 2 * Self.features, rows: Self.rows)
    readout.backward(
      slots, outputs: r,
      into: MixtureGradients(gateScores: ofScores, expertScores: ofScores, answers: ofAnswers), in: workspace)

    let filled = (0..<Self.rows).map { row in (0..<2).filter { table[row, $0] != SlotTable.empty } }
    let plain = Plain(
      scores: (0..<Self.rows).map { column(scores, $0, 0..<Self.experts) },
      answers: (0..<Self.rows).map { row in
        filled[row].map { column(answers, row, $0 * Self.features..<($0 + 1) * Self.features) }
      },
      chosen: (0..<Self.rows).map { row in filled[row].map { table[row, $0] } }, isFull: weights == .full,
      temperature: temperature)
    let factors = (0..<Self.rows).map { column(r, $0, 0..<Self.features) }
    for row in 0..<Self.rows {
      for f in 0..<Self.features {
        var only = factors.map { $0.map { _ in 0.0 } }
        only[row][f] = 1
        #expect(abs(Double(y[f][row]) - plain.value(only, scores: plain.scores)) < 1e-5)
      }
      for expert in 0..<Self.experts {
        func moved(_ step: Double) -> Double {
          var scores = plain.scores
          scores[row][expert] += step
          return plain.value(factors, scores: scores)
        }
        let expected = (moved(1e-6) - moved(-1e-6)) / 2e-6
        #expect(abs(Double(ofScores[expert][row]) - expected) < 1e-4, "row \(row), expert \(expert)")
      }
    }
  }
}
