internal import Numerics

/// H of a distribution in bits; 0·log 0 counts as 0, a NaN stays a NaN.
package func entropyInBits(_ distribution: some Sequence<Double>) -> Double {
  var entropy = 0.0
  // Compared with zero, not `p > 0`: a broken gate must not look like a decided one.
  for p in distribution where p != 0 { entropy -= p * logarithm2(p) }
  return entropy
}

/// I between the row and the column of a table of counts, in bits.
///
/// counts: row-major, `columns` per row. The sum is taken in storage order.
package func mutualInformationInBits(counts: [Int], columns: Int) -> Double {
  precondition(columns > 0 && counts.count % columns == 0, "a table of counts needs whole rows")
  let rows = counts.count / columns
  var rowSums = [Int](repeating: 0, count: rows)
  var columnSums = [Int](repeating: 0, count: columns)
  for row in 0..<rows {
    for column in 0..<columns {
      rowSums[row] += counts[row * columns + column]
      columnSums[column] += counts[row * columns + column]
    }
  }
  let total = Double(rowSums.reduce(0, +))
  var information = 0.0
  for row in 0..<rows {
    for column in 0..<columns {
      let count = counts[row * columns + column]
      guard count > 0 else { continue }
      // Products of counts are exact in Double below 2^53, so that independence gives the logarithm of exactly 1.
      let ratio = Double(count) * total / (Double(rowSums[row]) * Double(columnSums[column]))
      information += Double(count) / total * logarithm2(ratio)
    }
  }
  // Never negative but for rounding.
  return max(0, information)
}
