public import KernelInterface

/// Which experts run for a row.
///
/// Adding one: a file with a conformance, and its line where settings become selections (`Configuration.topSelection`).
public protocol Selection: Sendable {
  /// What it has to see at once, and so where it is made; unless it says otherwise, a row.
  var scope: SelectionScope { get }
  /// Whether every expert takes every row, so that no table is needed.
  var takesAll: Bool { get }
  /// What it adds to the scores in training, before it selects by them and they weigh the answers; nil: nothing.
  var noise: ScoreNoise? { get }
  /// The same choice without a limit per expert: that of evaluation, and the one that losses are about.
  var dropless: any Selection { get }

  /// Experts per row at most.
  func slots(experts: Int) -> Int

  /// Selects for every row of the scores, [experts][rows]: of a shard, or for the scope ``SelectionScope/batch`` of the whole
  /// batch on rank 0.
  ///
  /// - Parameters:
  ///   - scores: [experts][rows], those with noise where there is some.
  ///   - table: empty; gets the experts of a row in ascending order, so that sums over slots are sums by ascending
  ///     expert. A row's slots may stay empty, all of them, too.
  func select(_ scores: FeatureMap, into table: inout SlotTable)
}

extension Selection {
  public var scope: SelectionScope { .row }
  public var takesAll: Bool { false }
  public var noise: ScoreNoise? { nil }
  public var dropless: any Selection { self }

  /// The table of some scores; nil where every expert takes every row.
  package func table(of scores: FeatureMap) -> SlotTable? {
    guard !takesAll else { return nil }
    var table = SlotTable(slots: slots(experts: scores.features), rows: scores.rows)
    select(scores, into: &table)
    return table
  }
}

/// What a selection has to see at once.
public enum SelectionScope: Sendable {
  /// A row's scores: it is made on the row's shard.
  case row
  /// The scores of the whole batch: it is made on rank 0.
  case batch
}

/// Every expert.
public struct AllExperts: Selection {
  /// A row is sent to all experts, in slots by expert.
  public init() {}

  public var takesAll: Bool { true }
  public func slots(experts: Int) -> Int { experts }

  public func select(_ scores: FeatureMap, into table: inout SlotTable) {
    for row in 0..<table.rows {
      for slot in 0..<table.slots { table[row, slot] = slot }
    }
  }
}
