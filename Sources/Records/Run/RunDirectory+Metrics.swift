public import Files

extension RunDirectory {
  /// Adds lines to `metrics.jsonl`, and the same to `metrics.csv` and, where ``events`` are written, for TensorBoard.
  public func append(_ records: [MetricsRecord]) throws(Failure) {
    try SafeFile.append(file("metrics.jsonl"), records.map(\.line).joined())
    let lines = records.map(\.json)
    if let table, lines.allSatisfy(table.holds) {
      try SafeFile.append(file("metrics.csv"), lines.map(table.text).joined())
    } else {
      try writeTable(of: self.lines().map(\.json))
    }
    try events?.append(records)
  }

  /// Removes from `metrics.jsonl` what came after a step, so that a resumed run's file equals an uninterrupted one's; and
  /// the same from `metrics.csv` and the files for TensorBoard.
  ///
  /// Lines of the step itself stay, except the `test` line, which belongs to the end of a run alone. A last line
  /// without its end, as a killed process leaves it, goes too.
  public func truncateMetrics(toStep step: Int) throws(Failure) {
    try EventFiles.truncate(in: path, toStep: step)
    guard RunDirectory.exists(file("metrics.jsonl")) else { return }
    let kept = try lines().filter {
      ($0.json["step"]?.integerValue ?? 0) <= step && $0.json["split"]?.stringValue != "test"
    }
    try SafeFile.replace(file("metrics.jsonl"), kept.map { $0.text + "\n" }.joined())
    try writeTable(of: kept.map(\.json))
  }

  private func writeTable(of lines: [JSONValue]) throws(Failure) {
    let table = MetricsTable(lines)
    try SafeFile.replace(file("metrics.csv"), table.heading + lines.map(table.text).joined())
    self.table = table
  }

  /// The whole lines of `metrics.jsonl`.
  private func lines() throws(Failure) -> [(text: String, json: JSONValue)] {
    let name = file("metrics.jsonl")
    let bytes = try SafeFile.read(name, limit: 1 << 30, followingLinks: false) ?? []
    var lines: [(text: String, json: JSONValue)] = []
    for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast() {
      guard let json = try? JSONValue(parsing: Array(line)), json["step"]?.integerValue != nil else {
        throw Failure(.badData, "\(name):\(lines.count + 1): no metrics line; remove it to resume")
      }
      lines.append((String(decoding: line, as: UTF8.self), json))
    }
    return lines
  }
}
