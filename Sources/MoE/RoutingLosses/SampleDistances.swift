package import KernelInterface
package import Networks
internal import Numerics

/// Distances d(x,x') between all pairs of samples of a batch: Euclidean distances of the flattened normalised inputs,
/// or their squares, divided by a scale. The Gram matrix is one product: ‖x‖² + ‖x'‖² − 2 x·x', clamped at 0.
///
/// The upper triangle is computed and copied below the diagonal, which is exactly 0.
package final class SampleDistances {
  /// What a distance is divided by; its square for squared distances.
  package enum Scale: Equatable, Sendable {
    case fixed(Double)
    /// The largest distance of the batch; all distances 0 where that is 0.
    case batchMaximum
  }

  private let squared: Bool
  private let scale: Scale
  private var rows = 0
  private var inputs: [Float] = []
  private var matrix: [Float] = []
  private var norms: [Float] = []
  private let workspace = Workspace()

  package init(squared: Bool, scale: Scale) {
    self.squared = squared
    self.scale = scale
  }

  /// Measures the distances between the rows of all blocks together; returns their sum over ordered pairs.
  package func measure(_ blocks: [RowBlock]) -> Double {
    rows = blocks.reduce(0) { $0 + $1.rows }
    let pixels = blocks.first?.width ?? 0
    let stride = FeatureMap.stride(rows: rows)
    resize(&inputs, pixels * stride)
    resize(&matrix, rows * stride)
    resize(&norms, stride)
    return inputs.withUnsafeMutableBufferPointer { x in
      matrix.withUnsafeMutableBufferPointer { d in
        guard let x = x.baseAddress, let d = d.baseAddress else { return 0 }
        let map = FeatureMap(base: x, features: pixels, rows: rows)
        flatten(blocks, into: map)
        PairProducts.gram(map, into: d, stride: stride, in: workspace)
        return finish(d, stride: stride)
      }
    }
  }

  /// P·d for p of [experts][rows].
  package func multiply(_ p: FeatureMap, into result: FeatureMap) {
    let stride = FeatureMap.stride(rows: rows)
    matrix.withUnsafeBufferPointer { d in
      guard let d = d.baseAddress else { return }
      PairProducts.product(p, d, stride: stride, into: result, in: workspace)
    }
  }

  private func resize(_ buffer: inout [Float], _ count: Int) {
    if buffer.count < count { buffer = Array(repeating: 0, count: count) }
  }

  /// The rows of all blocks side by side, [pixel][rows].
  private func flatten(_ blocks: [RowBlock], into map: FeatureMap) {
    var first = 0
    for block in blocks {
      switch block {
      case .features(let part):
        for feature in 0..<part.features {
          (map[feature] + first).update(from: part[feature], count: part.rows)
        }
      case .tiles(let tiles):
        for tile in 0..<tiles.count {
          let column = first + tile * laneCount
          let lanes = min(laneCount, tiles.rows - tile * laneCount)
          kernels.copyTile(tiles[tile], pixels: tiles.pixels, lanes: lanes, into: map, column: column)
        }
      }
      first += block.rows
    }
  }

  private func finish(_ d: Floats, stride: Int) -> Double {
    for row in 0..<rows { norms[row] = d[row * stride + row] }
    var largest = Float(0)
    norms.withUnsafeMutableBufferPointer { norms in
      guard let norms = norms.baseAddress else { return }
      for row in 0..<rows {
        let line = d + row * stride
        kernels.distancesFromGram(
          line, own: norms[row], norms: norms, from: row + 1, to: rows, squared: squared, largest: &largest)
        line[row] = 0
      }
    }
    let divisor: Double
    switch scale {
    case .fixed(let value): divisor = squared ? value * value : value
    case .batchMaximum: divisor = Double(largest)
    }
    let factor = divisor > 0 ? Float(1 / divisor) : 0
    var sum = 0.0
    for row in 0..<rows {
      sum += kernels.scaleAndSum(d + row * stride, by: factor, from: row + 1, to: rows)
    }
    kernels.mirrorUpperTriangle(d, rows: rows, stride: stride)
    return 2 * sum
  }
}
