internal import Files

/// The lines of `metrics.jsonl` as a table of comma-separated values: a line each, a column per number. A share per expert
/// has a column each, `expert_share_0` and so on; the gate of the second layer and further ones has columns of its own,
/// `layer_2_sample_entropy` and so on. What is not known is empty.
struct MetricsTable {
  /// Those of all lines, in the order in which they came.
  let columns: [String]

  init(_ lines: [JSONValue]) {
    var columns: [String] = []
    var known: Set<String> = []
    for line in lines {
      for cell in Self.cells(of: line) where known.insert(cell.column).inserted {
        columns.append(cell.column)
      }
    }
    self.columns = columns
  }

  /// Whether a line has a place for all that it says.
  func holds(_ line: JSONValue) -> Bool {
    let known = Set(columns)
    return Self.cells(of: line).allSatisfy { known.contains($0.column) }
  }

  var heading: String { columns.joined(separator: ",") + "\n" }

  /// A line of the table, with its newline.
  func text(of line: JSONValue) -> String {
    let texts = Dictionary(Self.cells(of: line).map { ($0.column, $0.text) }) { first, _ in first }
    return columns.map { texts[$0] ?? "" }.joined(separator: ",") + "\n"
  }

  private static func cells(of line: JSONValue) -> [(column: String, text: String)] {
    guard case .object(let members) = line else { return [] }
    let first = ["epoch", "step", "split"]
    let sorted =
      first.compactMap { key in members.first { $0.key == key } } + members.filter { !first.contains($0.key) }
    return sorted.flatMap { member -> [(column: String, text: String)] in
      switch member.value {
      case .array(let values) where member.key == "layers":
        return values.dropFirst().flatMap { layer -> [(column: String, text: String)] in
          let number = layer["layer"]?.integerValue ?? 0
          return cells(of: layer).filter { $0.column != "layer" }.map {
            ("layer_\(number)_\($0.column)", $0.text)
          }
        }
      case .array(let values):
        return values.enumerated().map { ("\(member.key)_\($0)", text($1)) }
      default: return [(member.key, text(member.value))]
      }
    }
  }

  /// A split is one of a few words, so that nothing has to be quoted.
  private static func text(_ value: JSONValue) -> String {
    switch value {
    case .null: ""
    case .string(let word): word
    default: value.text()
    }
  }
}
