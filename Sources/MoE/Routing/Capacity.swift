public import KernelInterface

/// A limit on the rows of an expert: ⌈c·k·B/E⌉ of the global batch, as GShard (Lepikhin et al. 2020, arXiv 2006.16668) and the
/// Switch Transformer (Fedus et al. 2021, section 2.2) have it. What comes after, by ascending row, is dropped: the slot stays
/// empty, and a row may be left without any expert.
///
/// It is a limit of the whole batch, counted on rank 0, because a limit per rank would show how many ranks there are. Evaluation
/// takes ``dropless``.
public struct Capacity: Selection {
  /// What selects before the limit.
  public let base: any Selection
  /// c
  public let factor: Double

  /// - Parameters:
  ///   - base: what selects before the limit.
  ///   - factor: c, above 0; 1 leaves no room for uneven use.
  public init(_ base: any Selection, factor: Double) {
    self.base = base
    self.factor = factor
  }

  public var scope: SelectionScope { .batch }
  public var noise: ScoreNoise? { base.noise }
  public var dropless: any Selection { base }
  public func slots(experts: Int) -> Int { base.slots(experts: experts) }

  /// Rows that an expert takes at most.
  public func limit(rows: Int, experts: Int) -> Int {
    let share = factor * Double(slots(experts: experts) * rows) / Double(experts)
    return Int(min(share.rounded(.up), Double(rows)))
  }

  public func select(_ scores: FeatureMap, into table: inout SlotTable) {
    base.select(scores, into: &table)
    let limit = limit(rows: scores.rows, experts: scores.features)
    var taken = [Int](repeating: 0, count: scores.features)
    for row in 0..<table.rows {
      for slot in 0..<table.slots {
        let expert = table[row, slot]
        guard expert != SlotTable.empty else { continue }
        if taken[expert] < limit { taken[expert] += 1 } else { table[row, slot] = SlotTable.empty }
      }
    }
  }
}
