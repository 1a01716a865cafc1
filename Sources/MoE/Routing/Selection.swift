package import KernelInterface

/// Which experts run for a row.
package enum Selection: Equatable, Sendable {
  case all
  /// The k experts with the largest logits; ties go to the lowest expert.
  case top(Int)

  /// Experts per row.
  package func slots(experts: Int) -> Int {
    switch self {
    case .all: experts
    case .top(let k): k
    }
  }
}

/// The experts selected for every row, ascending by expert, so that sums over slots are sums by ascending expert.
package struct SlotTable {
  package let slots: Int
  package let rows: Int
  /// [rows][slots]
  package private(set) var experts: [Int32]

  package init(topOf logits: FeatureMap, slots: Int) {
    self.slots = slots
    rows = logits.rows
    experts = Array(repeating: 0, count: logits.rows * slots)
    experts.withUnsafeMutableBufferPointer { table in
      for row in 0..<logits.rows {
        selectTop(slots, of: logits, row: row, into: table.baseAddress! + row * slots)
      }
    }
  }

  package subscript(row: Int, slot: Int) -> Int { Int(experts[row &* slots &+ slot]) }
}

/// The `count` experts with the largest logits of a row, written in ascending order.
private func selectTop(
  _ count: Int, of logits: FeatureMap, row: Int, into chosen: UnsafeMutablePointer<Int32>
) {
  for slot in 0..<count {
    var best = -1
    var bestValue = -Float.infinity
    for expert in 0..<logits.features {
      let value = logits.base[expert &* logits.stride &+ row]
      if best < 0 || value > bestValue {
        var taken = false
        for earlier in 0..<slot where chosen[earlier] == Int32(expert) { taken = true }
        if !taken {
          best = expert
          bestValue = value
        }
      }
    }
    chosen[slot] = Int32(best)
  }
  var ascending = UnsafeMutableBufferPointer(start: chosen, count: count)
  ascending.sort()
}
