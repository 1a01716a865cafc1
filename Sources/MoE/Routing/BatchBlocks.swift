public import Dist

/// A batch cut into blocks of a fixed number of rows, and the blocks into shards, one per rank.
///
/// Blocks follow from the configuration, never from the number of ranks; a rank's shard is a run of whole blocks and may
/// be empty.
public struct BatchBlocks: Equatable, Sendable {
  /// B
  public let rows: Int
  /// Rows of a block; the last may have fewer.
  public let blockRows: Int
  /// N
  public let ranks: Int

  /// - Parameters:
  ///   - rows: of the batch, B.
  ///   - blockRows: of a block; the last of a batch may have fewer.
  ///   - ranks: N, that the blocks are shared out over.
  public init(rows: Int, blockRows: Int, ranks: Int) {
    precondition(rows >= 0 && blockRows > 0 && ranks > 0, "a batch is cut into blocks of at least one row")
    self.rows = rows
    self.blockRows = blockRows
    self.ranks = ranks
  }

  /// Blocks of the batch.
  public var count: Int { (rows + blockRows - 1) / blockRows }

  /// The rows of a block.
  public subscript(block: Int) -> Range<Int> {
    block * blockRows..<min((block + 1) * blockRows, rows)
  }

  /// The blocks of a rank's shard: [rK/N, (r+1)K/N).
  public func blocks(of rank: Int) -> Range<Int> { Dist.blocks(of: rank, count: count, ranks: ranks) }

  /// The rows of a rank's shard: blocks [rK/N, (r+1)K/N).
  public func shard(of rank: Int) -> Range<Int> {
    let blocks = blocks(of: rank)
    return min(blocks.lowerBound * blockRows, rows)..<min(blocks.upperBound * blockRows, rows)
  }

  /// Rows per rank.
  public var shards: Partition { Partition(counts: (0..<ranks).map { shard(of: $0).count }) }
}
