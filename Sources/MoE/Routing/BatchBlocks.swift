package import Dist

/// A batch cut into blocks of a fixed number of rows, and the blocks into shards, one per rank.
///
/// Blocks follow from the configuration, never from the number of ranks; a rank's shard is a run of whole blocks and may
/// be empty.
package struct BatchBlocks: Equatable {
  package let rows: Int
  package let blockRows: Int
  package let ranks: Int

  package init(rows: Int, blockRows: Int, ranks: Int) {
    self.rows = rows
    self.blockRows = blockRows
    self.ranks = ranks
  }

  package var count: Int { (rows + blockRows - 1) / blockRows }

  /// The rows of a block.
  package subscript(block: Int) -> Range<Int> {
    block * blockRows..<min((block + 1) * blockRows, rows)
  }

  /// The blocks of a rank's shard: [rK/N, (r+1)K/N).
  package func blocks(of rank: Int) -> Range<Int> { Dist.blocks(of: rank, count: count, ranks: ranks) }

  /// The rows of a rank's shard: blocks [rK/N, (r+1)K/N).
  package func shard(of rank: Int) -> Range<Int> {
    let blocks = blocks(of: rank)
    return min(blocks.lowerBound * blockRows, rows)..<min(blocks.upperBound * blockRows, rows)
  }

  package var shards: Partition { Partition(counts: (0..<ranks).map { shard(of: $0).count }) }
}
