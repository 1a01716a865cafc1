import KernelInterface
import MoE
import Numerics
import TestSupport

/// A map of values, [features][rows].
func map(_ features: Int, _ rows: Int, in workspace: Workspace, _ value: (Int, Int) -> Float) -> FeatureMap {
  let map = workspace.map(features: features, rows: rows)
  map.clear()
  for feature in 0..<features {
    for row in 0..<rows { map[feature][row] = value(feature, row) }
  }
  return map
}

/// By row, as the reference has it.
func rows(_ map: FeatureMap) -> [[Double]] {
  (0..<map.rows).map { row in (0..<map.features).map { Double(map[$0][row]) } }
}

/// Scores that are Floats, [row][E].
func randomScores(rows: Int, experts: Int, seed: UInt64, scale: Double = 3) -> [[Double]] {
  var generator = SplitMix(state: seed)
  return (0..<rows).map { _ in (0..<experts).map { _ in Double(Float(generator.symmetric(scale))) } }
}

/// Blocks of some rows, the last one shorter.
func blocks(of rows: Int, each: Int) -> [Range<Int>] {
  stride(from: 0, to: rows, by: each).map { $0..<min($0 + each, rows) }
}

/// The largest difference of the gradient from central differences of a loss of the scores.
func worstDifference(
  _ gradient: [[Double]], _ scores: [[Double]], step: Double = 1e-5, _ loss: ([[Double]]) -> Double
) -> Double {
  var worst = 0.0
  for row in scores.indices {
    for expert in scores[row].indices {
      var (above, below) = (scores, scores)
      above[row][expert] += step
      below[row][expert] -= step
      worst = max(worst, abs((loss(above) - loss(below)) / (2 * step) - gradient[row][expert]))
    }
  }
  return worst
}
