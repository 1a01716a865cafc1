internal import Dist
internal import KernelInterface

// In which order answers lie on the wire, on either side.

extension Exchange {
  /// Visits an owner's side of the answers in the order of the wire: source, expert, feature, row.
  ///
  /// - Parameter place: where a source's values lie.
  @inline(__always)
  func eachRun(
    _ arrival: Arrival, _ maps: [FeatureMap], _ features: Int, _ place: (Int) -> Floats,
    _ visit: (Floats, Floats, Int) -> Void
  ) {
    var columns = [Int](repeating: 0, count: maps.count)
    for (source, counts) in arrival.counts.enumerated() {
      var next = place(source)
      for local in maps.indices where counts[local] > 0 {
        for f in 0..<features {
          visit(maps[local][f] + columns[local], next, counts[local])
          next += counts[local]
        }
        columns[local] += counts[local]
      }
    }
  }

  /// Visits the shard's side of a dense plan's answers, whole lines of all rows, in the order of the wire: owner, expert,
  /// feature.
  ///
  /// - Parameter place: where an owner's values lie.
  func eachLine(
    _ plan: RoutingPlan, _ slots: FeatureMap, _ features: Int, _ place: (Int) -> Floats,
    _ visit: (Floats, Floats) -> Void
  ) {
    for rank in 0..<placement.ranks {
      var next = place(rank)
      for expert in placement.expertsOfRank[rank] {
        for f in 0..<features {
          visit(slots[expert * features + f], next)
          next += plan.rows
        }
      }
    }
  }

  /// Visits the shard's side of the answers, pair by pair, in the order of the wire: owner, expert, feature, row.
  ///
  /// - Parameter place: where an owner's values lie.
  @inline(__always)
  func eachPair(
    _ plan: RoutingPlan, _ slots: FeatureMap, _ features: Int, _ place: (Int) -> Floats,
    _ visit: (Floats, Floats) -> Void
  ) {
    guard let rowsOfExpert = plan.rowsOfExpert, let slotsOfExpert = plan.slotsOfExpert else { return }
    for rank in 0..<placement.ranks {
      var next = place(rank)
      for expert in placement.expertsOfRank[rank] {
        rowsOfExpert[expert].withUnsafeBufferPointer { rows in
          slotsOfExpert[expert].withUnsafeBufferPointer { places in
            for f in 0..<features {
              for pair in rows.indices {
                visit(slots[Int(places[pair]) &* features &+ f] + Int(rows[pair]), next + pair)
              }
              next += rows.count
            }
          }
        }
      }
    }
  }
}

/// Copies values that do not overlap; with many experts a run is a few of them, fewer than a call of memcpy is worth.
@inline(__always)
func copyRun(_ source: UnsafePointer<Float>, to target: Floats, _ count: Int) {
  if count > laneCount {
    target.update(from: source, count: count)
  } else {
    for i in 0..<count { target[i] = source[i] }
  }
}
