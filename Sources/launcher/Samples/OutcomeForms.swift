package import Files
import Records
import Training

// N images, L mixture layers, E experts, C classes.

/// One form of an output, row by row.
package protocol OutcomeForm {
  /// The bytes of some rows.
  mutating func bytes(of rows: [OutcomeRow]) -> [UInt8]
  /// What is left to write behind the last row.
  mutating func end() -> [UInt8]
}

extension OutcomeForm {
  package mutating func end() -> [UInt8] { [] }
}

/// Comma-separated values. Lists are columns of their own: `p_0` … of the distribution, `gate_0` … by expert (`gate_2_0` of
/// the second layer where there are several), `answer_0_0` … by expert and class, empty where the expert did not run.
package struct CSVForm: OutcomeForm {
  private let columns: [OutcomeColumn]
  private var hasHeading = false

  package init(_ columns: [OutcomeColumn]) { self.columns = columns }

  package mutating func bytes(of rows: [OutcomeRow]) -> [UInt8] {
    var text = ""
    if let first = rows.first, !hasHeading {
      hasHeading = true
      text += (["sample"] + columns.flatMap { heading($0, first) }).joined(separator: ",") + "\n"
    }
    for row in rows {
      text += String(row.outcome.sample)
      for column in columns { for value in values(column, row) { text += "," + value } }
      text += "\n"
    }
    return Array(text.utf8)
  }

  private func heading(_ column: OutcomeColumn, _ row: OutcomeRow) -> [String] {
    let classes = row.detail?.distribution.count ?? 0
    switch column {
    case .class, .probability, .expert: return [column.rawValue]
    case .distribution: return (0..<classes).map { "p_\($0)" }
    case .gate:
      return row.gates.enumerated().flatMap { layer, gate in
        gate.indices.map { row.gates.count > 1 ? "gate_\(layer + 1)_\($0)" : "gate_\($0)" }
      }
    case .answers:
      let experts = row.detail?.answers.count ?? 0
      return (0..<experts).flatMap { expert in (0..<classes).map { "answer_\(expert)_\($0)" } }
    }
  }

  private func values(_ column: OutcomeColumn, _ row: OutcomeRow) -> [String] {
    let outcome = row.outcome
    switch column {
    case .class: return [String(outcome.prediction)]
    case .probability: return [outcome.probability.description]
    case .expert: return [String(outcome.expert)]
    case .distribution: return row.detail?.distribution.map(\.description) ?? []
    case .gate: return row.gates.joined().map(\.description)
    case .answers:
      guard let detail = row.detail else { return [] }
      return detail.answers.flatMap { answer in
        answer?.map(\.description) ?? detail.distribution.map { _ in "" }
      }
    }
  }
}

/// A JSON object per line. Lists are arrays; gates of several layers a list per layer; the answer of an expert that did not
/// run is null.
package struct JSONLinesForm: OutcomeForm {
  private let columns: [OutcomeColumn]

  package init(_ columns: [OutcomeColumn]) { self.columns = columns }

  package mutating func bytes(of rows: [OutcomeRow]) -> [UInt8] {
    var text = ""
    for row in rows {
      let members = columns.map { JSONValue.Member(key: $0.rawValue, value: value($0, row)) }
      let sample = JSONValue.Member(key: "sample", value: .integer(row.outcome.sample))
      text += JSONValue.object(members + [sample]).text() + "\n"
    }
    return Array(text.utf8)
  }

  private func value(_ column: OutcomeColumn, _ row: OutcomeRow) -> JSONValue {
    let outcome = row.outcome
    switch column {
    case .class: return .integer(outcome.prediction)
    case .probability: return JSONValue(shortest: outcome.probability)
    case .expert: return .integer(outcome.expert)
    case .distribution: return JSONValue(row.detail?.distribution ?? [])
    case .gate:
      let gates = row.gates.map { JSONValue($0) }
      return gates.count == 1 ? gates[0] : .array(gates)
    case .answers:
      return .array(row.detail?.answers.map { answer in answer.map { JSONValue($0) } ?? .null } ?? [])
    }
  }
}

/// A safetensors file, a tensor per column, its first extent the images: `class` and `expert` [N] int32, `probability` [N],
/// `distribution` [N, C], `gate` [N, E] or [N, L, E], `answers` [N, E, C] float32, NaN where an expert did not run. It is
/// made at the end.
package struct SafetensorsForm: OutcomeForm {
  private let columns: [OutcomeColumn]
  private var rows = 0
  /// Extents behind the first.
  private var shapes: [[Int]]
  private var data: [[UInt8]]

  package init(_ columns: [OutcomeColumn]) {
    self.columns = columns
    shapes = columns.map { _ in [] }
    data = columns.map { _ in [] }
  }

  /// Refuses more than the memory of this host holds: the file is there twice when it is made.
  ///
  /// - Throws: ``Failure`` with the exit code for usage.
  package static func checkMemory(_ columns: [OutcomeColumn], images: Int, classes: Int, experts: Int)
    throws(Failure)
  {
    let values = columns.reduce(0) { sum, column in
      switch column {
      case .class, .probability, .expert: sum + 1
      case .distribution: sum + classes
      case .gate: sum + experts
      case .answers: sum + experts * classes
      }
    }
    let needed = 2 * 4 * images * values
    let shortage = RankMemory(host: "", needed: needed, reserved: 0, available: .now())
      .shortage(together: (needed, 1), onHost: (needed, 1))
    guard let shortage else { return }
    throw Failure(
      .usage, "--format safetensors: \(shortage); take --format jsonl, or leave --output-columns out")
  }

  package mutating func bytes(of rows: [OutcomeRow]) -> [UInt8] {
    self.rows += rows.count
    for row in rows { for index in columns.indices { add(row, to: index) } }
    return []
  }

  private mutating func add(_ row: OutcomeRow, to index: Int) {
    func append(_ values: some Sequence<Float>) {
      for value in values {
        withUnsafeBytes(of: value.bitPattern.littleEndian) { data[index].append(contentsOf: $0) }
      }
    }
    func append(_ number: Int) {
      withUnsafeBytes(of: Int32(truncatingIfNeeded: number).littleEndian) {
        data[index].append(contentsOf: $0)
      }
    }
    switch columns[index] {
    case .class: append(row.outcome.prediction)
    case .expert: append(row.outcome.expert)
    case .probability: append([row.outcome.probability])
    case .distribution:
      guard let detail = row.detail else { return }
      shapes[index] = [detail.distribution.count]
      append(detail.distribution)
    case .gate:
      let gates = row.gates
      shapes[index] = gates.count > 1 ? [gates.count, gates[0].count] : [gates[0].count]
      append(gates.joined())
    case .answers:
      guard let detail = row.detail else { return }
      shapes[index] = [detail.answers.count, detail.distribution.count]
      let none = detail.distribution.map { _ in Float.nan }
      for answer in detail.answers { append(answer ?? none) }
    }
  }

  package mutating func end() -> [UInt8] {
    SafetensorsHeader.file(
      of: columns.indices.map { index in
        let isWhole = [.class, .expert].contains(columns[index])
        return (columns[index].rawValue, isWhole ? .int32 : .float32, [rows] + shapes[index], data[index])
      })
  }
}

/// sample,label,prediction,expert,p0,p1,… for `evaluate --per-sample`.
package struct SampleTableForm: OutcomeForm {
  private var hasHeading = false

  package init() {}

  package mutating func bytes(of rows: [OutcomeRow]) -> [UInt8] {
    var text = ""
    if let first = rows.first, !hasHeading {
      hasHeading = true
      let experts = first.outcome.gateProbabilities.indices
      text += "sample,label,prediction,expert" + experts.map { ",p\($0)" }.joined() + "\n"
    }
    for outcome in rows.map(\.outcome) {
      text +=
        "\(outcome.sample),\(outcome.label.map(String.init) ?? ""),\(outcome.prediction),\(outcome.expert)"
      for p in outcome.gateProbabilities { text += ",\(p)" }
      text += "\n"
    }
    return Array(text.utf8)
  }
}
