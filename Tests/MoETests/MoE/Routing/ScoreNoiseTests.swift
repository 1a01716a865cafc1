import Glibc
import KernelInterface
import MoE
import Networks
import Numerics
import Testing

/// The noise on scores: its distribution, and what a draw depends on.
struct ScoreNoiseTests {
  /// Noise on scores of 0, [row][E].
  private static func draw(
    factor: Double = 1, experts: Int = 5, samples: [Int32], rows: Range<Int>? = nil, seed: UInt64 = 1,
    epoch: Int = 0, layer: String = ""
  ) -> [[Double]] {
    let workspace = Workspace()
    let rows = rows ?? 0..<samples.count
    let zero = map(experts, rows.count, in: workspace) { _, _ in 0 }
    let noisy = workspace.map(features: experts, rows: rows.count)
    let point = StepPoint(mode: .training, seed: seed, epoch: epoch, samples: samples[...], layer: layer)
    ScoreNoise(factor: factor).add(to: zero, rows: rows, at: point, into: noisy)
    return MoETests.rows(noisy)
  }

  /// Φ(x) = ½ erfc(−x/√2) gives the probability back, over all cells that can be drawn.
  @Test func theQuantileIsTheInverseOfTheDistribution() {
    var probabilities = (1..<2048).map { Double($0) / 2048 }
    for exponent in 2...32 { probabilities.append(pow(2, -Double(exponent)) + 0x1p-33) }
    probabilities.append(0x1p-33)
    for p in probabilities {
      let x = normalQuantile(p)
      // dΦ/Φ = x·dx there, and dx/x is below 1e-6.
      #expect(abs(0.5 * erfc(-x / 2.squareRoot()) / p - 1) < 1e-6 * (1 + x * x), "\(p)")
      #expect(normalQuantile(1 - p) == -x, "\(p)")
    }
    #expect(normalQuantile(0.5) == 0)
  }

  /// Word e mod 4 at (epoch·2³² + sample, layer·2³² + e/4) is the cell; the noise is factor/E of its middle's quantile.
  @Test func aDrawIsItsDefinition() {
    let samples: [Int32] = [7, 0, 59_999]
    let found = Self.draw(factor: 3, experts: 6, samples: samples, seed: 9, epoch: 4, layer: "layers.1")
    let stream = RandomStream(seed: 9, purpose: .routing)
    for (row, sample) in samples.enumerated() {
      for e in 0..<6 {
        let words = stream.words(4 << 32 + UInt64(sample), fnv1a64("layers.1") << 32 + UInt64(e / 4))
        let expected = 3.0 / 6 * normalQuantile((Double(words[e % 4]) + 0.5) / 4_294_967_296)
        #expect(found[row][e] == Double(Float(expected)))
      }
    }
  }

  /// 60 000 draws: mean, variance, third and fourth moment within four of their standard errors.
  @Test func drawsAreNormalOfDeviationFactorOverE() {
    let values = Self.draw(factor: 2, experts: 6, samples: (0..<10_000).map { $0 }).flatMap { $0 }
      .map { $0 * 3 }
    let n = Double(values.count)
    func moment(_ power: Double) -> Double { values.reduce(0) { $0 + pow($1, power) } / n }
    #expect(abs(moment(1)) < 4 / n.squareRoot())
    #expect(abs(moment(2) - 1) < 4 * (2 / n).squareRoot())
    #expect(abs(moment(3)) < 4 * (15 / n).squareRoot())
    #expect(abs(moment(4) - 3) < 4 * (96 / n).squareRoot())
  }

  @Test func everyKeyMatters() {
    let samples: [Int32] = [3, 4]
    let first = Self.draw(samples: samples)
    #expect(first == Self.draw(samples: samples))
    #expect(first != Self.draw(samples: samples, seed: 2))
    #expect(first != Self.draw(samples: samples, epoch: 1))
    #expect(first != Self.draw(samples: samples, layer: "layers.1"))
    #expect(first[0] != first[1])
    #expect(Set(first[0]).count == 5)
  }

  /// A sample has its noise wherever it is in the batch, and whichever rank asks.
  @Test func rowsOfAShardAreThoseOfTheBatch() {
    let samples: [Int32] = [12, 5, 900, 1, 77]
    let whole = Self.draw(samples: samples)
    #expect(Self.draw(samples: samples, rows: 1..<4) == Array(whole[1..<4]))
    #expect(Self.draw(samples: samples.reversed()) == whole.reversed())
  }

  @Test func theScoresStay() {
    let workspace = Workspace()
    let scores = map(3, 2, in: workspace) { Float(10 * $0 + $1) }
    let noisy = workspace.map(features: 3, rows: 2)
    ScoreNoise(factor: 1).add(
      to: scores, rows: 0..<2, at: StepPoint(mode: .training, samples: [8, 9]), into: noisy)
    let noise = Self.draw(experts: 3, samples: [8, 9], seed: 0)
    for row in 0..<2 {
      for e in 0..<3 {
        #expect(scores[e][row] == Float(10 * e + row))
        #expect(noisy[e][row] == Float(10 * e + row) + Float(noise[row][e]))
      }
    }
  }
}
