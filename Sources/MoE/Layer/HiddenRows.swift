package import KernelInterface
package import Networks
package import Numerics

/// Rows that a module gave, as the rows of a layer: each is on its own shard alone, and travels as `float32`.
package struct HiddenRows: LayerRows {
  package let features: Int
  package let codec: any RowCodec
  /// Of this rank's shard.
  private let shard: [FeatureMap]
  private let first: Int

  /// - Parameters:
  ///   - blocks: those of this rank's shard, [features][rows] each.
  ///   - first: the number of the first of them in the batch.
  ///   - features: of a row.
  ///   - workspace: keeps a copy of the rows as they travel.
  package init(_ blocks: [FeatureMap], first: Int, features: Int, in workspace: Workspace) {
    shard = blocks
    self.first = first
    self.features = features
    let rows = blocks.reduce(0) { $0 + $1.rows }
    let base = workspace.floats(max(rows * features, 1))
    var next = base
    for block in blocks {
      kernels.writeRows(block, into: next)
      next += block.rows * features
    }
    codec = FloatRowCodec(base, features: features)
  }

  package var areEverywhere: Bool { false }

  package func blocks(
    _ numbers: Range<Int>, of batch: BatchBlocks, shared: RowBlock?, in workspace: Workspace
  ) -> [RowBlock] {
    numbers.map { .features(shard[$0 - first]) }
  }
}

/// Rows of floats, one behind the other.
private final class FloatRowCodec: RowCodec {
  private let rows: Floats
  private let features: Int

  init(_ rows: Floats, features: Int) {
    self.rows = rows
    self.features = features
  }

  var rowBytes: Int { features * 4 }

  func write(_ row: Int, to target: UnsafeMutableRawPointer) {
    target.copyMemory(from: rows + row * features, byteCount: rowBytes)
  }

  func read(_ arrived: UnsafeRawPointer, positions: [Int32]?, count: Int, in workspace: Workspace) -> RowBlock
  {
    let map = workspace.map(features: features, rows: count)
    eachVector(ofRows: arrived, features: features, positions: positions, count: count) { first, _, rows in
      kernels.readRows(rows, into: map, column: first)
    }
    return .features(map)
  }
}
