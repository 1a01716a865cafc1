package import Dist
package import KernelInterface
package import Numerics

/// Columns of a map of the whole batch on rank 0, to and from the shards that they belong to.
///
/// One word for the control of the run travels with every message, so that no collective is spent on it.
package final class RootChannel {
  private let communicator: any Communicator
  private var root = ByteBuffer()
  private var shard = ByteBuffer()

  package init(_ communicator: any Communicator) { self.communicator = communicator }

  /// A map of the whole batch on the root; nil elsewhere.
  package func wholeMap(features: Int, _ batch: BatchBlocks, in workspace: Workspace) -> FeatureMap? {
    communicator.rank == 0 ? workspace.map(features: features, rows: batch.rows) : nil
  }

  /// Hands every shard its columns of the root's map; returns the root's word.
  package func scatter(
    _ whole: FeatureMap?, into part: FeatureMap, _ blocks: BatchBlocks, word: Float
  ) throws -> Float {
    let counts = Partition(counts: blocks.shards.counts.map { $0 * part.features + 1 })
    let here = shard.reserve(counts.counts[communicator.rank] * 4).assumingMemoryBound(to: Float.self)
    let all = root.reserve(whole == nil ? 0 : counts.total * 4).assumingMemoryBound(to: Float.self)
    if let whole {
      eachShard(blocks, counts) { rows, offset in
        all[offset] = word
        copyColumns(whole, rows) { line, buffer, count in buffer.update(from: line, count: count) }(
          all + offset + 1)
      }
    }
    try communicator.scatter(
      UnsafeRawBufferPointer(start: all, count: whole == nil ? 0 : counts.total * 4),
      into: UnsafeMutableRawBufferPointer(start: here, count: counts.counts[communicator.rank] * 4),
      counts, rowBytes: 4, root: 0)
    copyColumns(part, 0..<part.rows) { line, buffer, count in line.update(from: buffer, count: count) }(
      here + 1)
    return here[0]
  }

  /// Collects every shard's columns in the root's map; returns the largest word of all ranks on the root.
  package func gather(
    _ part: FeatureMap, into whole: FeatureMap?, _ blocks: BatchBlocks, word: Float
  ) throws -> Float {
    let counts = Partition(counts: blocks.shards.counts.map { $0 * part.features + 1 })
    let here = shard.reserve(counts.counts[communicator.rank] * 4).assumingMemoryBound(to: Float.self)
    let all = root.reserve(whole == nil ? 0 : counts.total * 4).assumingMemoryBound(to: Float.self)
    here[0] = word
    copyColumns(part, 0..<part.rows) { line, buffer, count in buffer.update(from: line, count: count) }(
      here + 1)
    try communicator.gather(
      UnsafeRawBufferPointer(start: here, count: counts.counts[communicator.rank] * 4),
      into: UnsafeMutableRawBufferPointer(start: all, count: whole == nil ? 0 : counts.total * 4),
      counts, rowBytes: 4, root: 0)
    guard let whole else { return word }
    var largest = word
    eachShard(blocks, counts) { rows, offset in
      largest = max(largest, all[offset])
      copyColumns(whole, rows) { line, buffer, count in line.update(from: buffer, count: count) }(
        all + offset + 1)
    }
    return largest
  }

  private func eachShard(_ blocks: BatchBlocks, _ counts: Partition, _ visit: (Range<Int>, Int) -> Void) {
    for rank in 0..<communicator.size { visit(blocks.shard(of: rank), counts.offsets[rank]) }
  }

  /// Visits the columns of a map beside a buffer that holds them feature by feature.
  private func copyColumns(
    _ map: FeatureMap, _ rows: Range<Int>, _ copy: @escaping (Floats, Floats, Int) -> Void
  ) -> (Floats) -> Void {
    { buffer in
      for feature in 0..<map.features {
        copy(map[feature] + rows.lowerBound, buffer + feature * rows.count, rows.count)
      }
    }
  }
}
