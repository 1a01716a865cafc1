internal import Files
internal import Records

extension RunRecord {
  /// The complete lines of `metrics.jsonl`; none where there is no such file.
  static func lines(_ file: String) throws(Failure) -> [MetricsRecord] {
    guard let bytes = try SafeFile.read(file, limit: 1 << 30, followingLinks: false) else { return [] }
    var found: [MetricsRecord] = []
    var experts: Int?
    // A run that is being written may have half a line at its end.
    for text in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast() {
      let place = "\(file):\(found.count + 1)"
      let json: JSONValue
      do {
        json = try JSONValue(parsing: Array(text), maximumValues: 100_000)
      } catch {
        throw Failure(.badData, "\(place): no JSON: \(error); the run's metrics are damaged")
      }
      let record = try MetricsRecord(FieldReader(file: place, place: "", json: json))
      for count in ([record.gate] + record.layers).compactMap(\.expertShare?.count) {
        guard count == experts ?? count else {
          throw Failure(.badData, "\(place): \(count) experts where lines before have \(experts ?? 0)")
        }
        experts = count
      }
      found.append(record)
    }
    return found
  }

  /// The tables of `expert_class.csv` and its like, layer by layer; none where there is no such file.
  ///
  /// A heading line; every row begins with the expert, and before it with the layer, from 1, where there are several.
  ///
  /// - Parameter rowName: what a row is of, as the heading says it.
  static func tables<Value>(
    _ file: String, rowName: String = "expert", _ value: (Substring) -> Value?
  ) throws(Failure) -> [[[Value]]] {
    guard let bytes = try SafeFile.read(file, limit: 1 << 27, followingLinks: false) else { return [] }
    let rows = bytes.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
    let hasLayers = rows.first?.hasPrefix("layer,expert,") ?? false
    let named = hasLayers ? 2 : 1
    let columns = (rows.first?.split(separator: ",", omittingEmptySubsequences: false).count ?? 0) - named
    guard (1...4096).contains(columns), rows.count > 1, hasLayers || rows[0].hasPrefix("\(rowName),")
    else {
      throw Failure(.badData, "\(file):1: no table whose rows are named '\(rowName)'")
    }
    var tables: [[[Value]]] = []
    for (number, row) in rows.enumerated().dropFirst() {
      let cells = row.split(separator: ",", omittingEmptySubsequences: false)
      let values = cells.dropFirst(named).compactMap(value)
      guard values.count == columns, cells.count == columns + named else {
        throw Failure(
          .badData, "\(file):\(number + 1): expected the number of the row and \(columns) counts, at least 0")
      }
      let layer = hasLayers ? Int(cells[0]) ?? 0 : 1
      guard layer == tables.count || layer == tables.count + 1, layer > 0 else {
        throw Failure(.badData, "\(file):\(number + 1): the layers are not numbered from 1 in order")
      }
      if layer > tables.count { tables.append([]) }
      tables[layer - 1].append(values)
    }
    guard tables.allSatisfy({ $0.count == tables[0].count }) else {
      throw Failure(.badData, "\(file): the layers have different numbers of experts")
    }
    return tables
  }
}

extension MetricsRecord {
  /// Reads a line of `metrics.jsonl` back; keys that are not known are left alone.
  init(_ reader: FieldReader) throws(Failure) {
    self.init(
      epoch: try reader.required("epoch").count, step: try reader.required("step").count,
      split: try reader.required("split").text)
    guard epoch <= 1 << 40, step <= 1 << 40 else { throw reader.wrong("a line of a run: too many steps") }
    loss = try reader["loss"]?.number
    crossEntropy = try reader["cross_entropy"]?.number
    if case .object(let members) = reader.json {
      for key in members.map(\.key) where key.hasSuffix(Self.lossSuffix) {
        if let value = try reader[key]?.number { routingLosses.append(NamedFigure(key, value)) }
      }
    }
    error = try reader["error"]?.number
    topFiveError = try reader["top5_error"]?.number
    let gate = try GateFigures(reader)
    mutualInformation = gate.mutualInformation
    mutualInformationTrue = gate.mutualInformationTrue
    sampleEntropy = gate.sampleEntropy
    usageEntropy = gate.usageEntropy
    taskEntropy = gate.taskEntropy
    expertShare = gate.expertShare
    deadExperts = gate.deadExperts
    for entry in try reader["layers"]?.elements ?? [] { layers.append(try GateFigures(entry)) }
    seconds = try reader["seconds"]?.number
    samplesPerSecond = try reader["samples_per_second"]?.number
    expertFlops = try reader["expert_flops"]?.count
    denseFlops = try reader["dense_flops"]?.count
    bytesDispatched = try reader["bytes_dispatched"]?.count
  }
}

extension GateFigures {
  /// Reads what ``json`` says, out of an object with other keys beside.
  init(_ reader: FieldReader) throws(Failure) {
    self.init()
    mutualInformation = try reader["mutual_information"]?.number
    mutualInformationTrue = try reader["mutual_information_true"]?.number
    sampleEntropy = try reader["sample_entropy"]?.number
    usageEntropy = try reader["usage_entropy"]?.number
    taskEntropy = try reader["task_entropy"]?.number
    deadExperts = try reader["dead_experts"]?.count
    guard let share = reader["expert_share"] else { return }
    var shares: [Double] = []
    for element in try share.elements {
      let value = try element.amount
      guard value <= 1 else { throw element.wrong("a share from 0 to 1") }
      shares.append(value)
    }
    guard shares.reduce(0, +) < 1.001 else { throw share.wrong("a list of shares of a whole") }
    expertShare = shares
  }
}
