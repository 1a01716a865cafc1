/// Who computes what for the rows of one shard: (row, slot) pairs sorted by (owner, expert, row), and for every rank the
/// rows that go to it. A row goes at most once to a rank, however many of that rank's experts want it.
package struct RoutingPlan {
  /// Rows of the shard.
  package let rows: Int
  package let slots: Int
  /// Per expert: its rows within the shard, ascending; nil where every expert takes every row.
  package let rowsOfExpert: [[Int32]]?
  /// Per expert and pair: the slot of the answer.
  package let slotsOfExpert: [[Int32]]?
  /// Per expert and pair: the row's position among the rows sent to the expert's owner.
  package let positionsOfExpert: [[Int32]]?
  /// Whether a slot of a row is empty.
  package let hasEmptySlots: Bool
  /// Per rank: the rows sent to it, ascending; nil where it gets every row or, without an expert, none.
  package let rowsOfRank: [[Int32]]?
  private let placement: ExpertPlacement

  /// Every expert takes every row of the shard.
  package init(dense rows: Int, placement: ExpertPlacement) {
    self.rows = rows
    self.placement = placement
    slots = placement.experts
    rowsOfExpert = nil
    slotsOfExpert = nil
    positionsOfExpert = nil
    rowsOfRank = nil
    hasEmptySlots = false
  }

  /// The experts of the table take their rows; empty slots are in nobody's lists.
  package init(_ table: SlotTable, placement: ExpertPlacement) {
    rows = table.rows
    slots = table.slots
    self.placement = placement
    var rowsOfExpert = [[Int32]](repeating: [], count: placement.experts)
    var slotsOfExpert = rowsOfExpert
    var positionsOfExpert = rowsOfExpert
    var rowsOfRank = [[Int32]](repeating: [], count: placement.ranks)
    var hasEmptySlots = false
    for row in 0..<table.rows {
      for slot in 0..<table.slots {
        let expert = table[row, slot]
        guard expert != SlotTable.empty else {
          hasEmptySlots = true
          continue
        }
        let owner = placement.owners[expert]
        if rowsOfRank[owner].last != Int32(row) { rowsOfRank[owner].append(Int32(row)) }
        rowsOfExpert[expert].append(Int32(row))
        slotsOfExpert[expert].append(Int32(slot))
        positionsOfExpert[expert].append(Int32(rowsOfRank[owner].count - 1))
      }
    }
    self.rowsOfExpert = rowsOfExpert
    self.slotsOfExpert = slotsOfExpert
    self.positionsOfExpert = positionsOfExpert
    self.rowsOfRank = rowsOfRank
    self.hasEmptySlots = hasEmptySlots
  }

  /// Pairs of an expert.
  package func pairs(of expert: Int) -> Int { rowsOfExpert?[expert].count ?? rows }

  /// Pairs of all experts of a rank.
  package func pairs(ofRank rank: Int) -> Int {
    placement.expertsOfRank[rank].reduce(0) { $0 + pairs(of: $1) }
  }

  /// Rows that go to a rank.
  package func rowCount(ofRank rank: Int) -> Int {
    rowsOfRank?[rank].count ?? (placement.expertsOfRank[rank].isEmpty ? 0 : rows)
  }
}
