/// Columns that line up: the first to the left, the others to the right.
package struct TextTable {
  package var rows: [[String]]

  package init(heading: [String]) { rows = [heading] }

  package mutating func add(_ cells: [String]) {
    precondition(cells.count == rows[0].count, "every row has a cell for every heading")
    rows.append(cells)
  }

  /// The lines, two spaces between columns, no spaces at the end.
  package var text: String {
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      var line = ""
      for (column, cell) in row.enumerated() {
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        line += column == 0 ? cell + padding : "  " + padding + cell
      }
      while line.last == " " { line.removeLast() }
      return line + "\n"
    }.joined()
  }
}

/// A number with a fixed number of digits after the point, rounded to nearest.
package func fixed(_ value: Double, _ digits: Int) -> String {
  guard value.isFinite else { return "-" }
  var scale = 1.0
  for _ in 0..<digits { scale *= 10 }
  let scaled = (value.magnitude * scale).rounded(.toNearestOrAwayFromZero)
  guard scaled < 9e15 else { return String(value) }
  let whole = Int(scaled) / Int(scale)
  let rest = String(Int(scaled) % Int(scale))
  let sign = value < 0 && scaled > 0 ? "-" : ""
  return sign + String(whole)
    + (digits == 0 ? "" : "." + String(repeating: "0", count: digits - rest.count) + rest)
}

/// A count with a prefix, three significant digits: `1.23 G`, `45.6 k`, `789`.
package func withPrefix(_ value: Double, _ unit: String = "") -> String {
  let steps: [(Double, String)] = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")]
  for (size, prefix) in steps where value.magnitude >= size * 0.9995 {
    let scaled = value / size
    return fixed(scaled, scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0) + " " + prefix + unit
  }
  return value == value.rounded()
    ? fixed(value, 0) + (unit.isEmpty ? "" : " " + unit) : fixed(value, 2) + (unit.isEmpty ? "" : " " + unit)
}

/// Bytes as kB, MB, GB (powers of ten).
package func bytesText(_ bytes: Int) -> String { withPrefix(Double(bytes), "B") }

/// Seconds as `41 s`, `3 min 05 s`, `2 h 07 min`.
package func durationText(_ seconds: Double) -> String {
  guard seconds.isFinite, seconds < 1e9 else { return "-" }
  let whole = Int(seconds.rounded())
  func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
  if whole < 60 { return "\(whole) s" }
  if whole < 3600 { return "\(whole / 60) min \(two(whole % 60)) s" }
  return "\(whole / 3600) h \(two(whole % 3600 / 60)) min"
}
