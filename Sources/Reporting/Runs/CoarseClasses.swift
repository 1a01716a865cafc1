// E experts, C classes.

/// Classes summed to coarse classes.
struct CoarseClasses {
  let names: [String]
  /// [C] the coarse class of every class.
  let ofClass: [Int]

  /// [E][C] counts as [E][coarse classes].
  func sum(_ table: [[Int]]) -> [[Int]] {
    table.map { row in
      var sums = [Int](repeating: 0, count: names.count)
      for (column, value) in row.enumerated() { sums[ofClass[column]] += value }
      return sums
    }
  }
}

extension RunRecord {
  /// The coarse classes of the data set; nil where it has none.
  var coarse: CoarseClasses? {
    guard let session = sessions.last, session.coarseClasses.count == classes,
      !session.coarseClassNames.isEmpty
    else { return nil }
    return CoarseClasses(names: session.coarseClassNames, ofClass: session.coarseClasses)
  }
}
