/// How many rows belong to each rank, and where each rank's rows start in a buffer that holds them in rank order.
public struct Partition: Equatable, Sendable {
  /// Rows per rank.
  public let counts: [Int]
  /// First row per rank: the running sum of the counts before it.
  public let offsets: [Int]
  /// Rows in all.
  public let total: Int

  /// - Parameter counts: rows per rank; none is negative.
  public init(counts: [Int]) {
    var offsets: [Int] = []
    offsets.reserveCapacity(counts.count)
    var total = 0
    for count in counts {
      precondition(count >= 0, "a partition has no negative counts")
      offsets.append(total)
      total += count
    }
    self.counts = counts
    self.offsets = offsets
    self.total = total
  }

  private init(counts: [Int], offsets: [Int], total: Int) {
    self.counts = counts
    self.offsets = offsets
    self.total = total
  }

  /// The same places with a rank's rows left out of the exchange: they stay in the buffer as they are.
  public func leavingOut(_ rank: Int) -> Partition {
    var counts = counts
    counts[rank] = 0
    return Partition(counts: counts, offsets: offsets, total: total)
  }

  /// Rows that are exchanged with other ranks.
  func rows(besides rank: Int) -> Int { counts.reduce(0, +) - counts[rank] }

  /// The rows of a rank.
  public subscript(rank: Int) -> Range<Int> { offsets[rank]..<offsets[rank] + counts[rank] }

  /// The same partition with every row counted `factor` times.
  public func scaled(by factor: Int) -> Partition { Partition(counts: counts.map { $0 * factor }) }
}

/// The blocks of rank r of N when work is cut into K blocks: [rK/N, (r+1)K/N). They are consecutive and differ by one at most.
public func blocks(of rank: Int, count: Int, ranks: Int) -> Range<Int> {
  rank * count / ranks..<(rank + 1) * count / ranks
}
