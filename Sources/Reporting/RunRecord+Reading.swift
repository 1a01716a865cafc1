internal import Files
internal import Records
internal import Training

extension RunRecord {
  /// Reads a run directory, also of a run that is still going or was stopped.
  ///
  /// - Throws: ``Failure``: `.notFound` where there is no run, `.badData` for a damaged file, naming it and the place.
  init(directory: String) throws(Failure) {
    guard RunDirectory.exists(directory) else {
      throw Failure(.notFound, "run directory \(directory) not found; name one that 'moe-dist train' wrote")
    }
    guard RunDirectory.exists(directory + "/config.yaml") else {
      throw Failure(
        .notFound,
        "\(directory) is no run directory: it has no config.yaml; name one that 'moe-dist train' wrote")
    }
    path = directory
    do {
      settings = try RunDirectory.settings(in: directory).entries
    } catch {
      throw Failure(error.code == .usage ? .badData : error.code, error.message)
    }
    sessions = try Self.sessions(directory + "/run.json")
    lines = try Self.lines(directory + "/metrics.jsonl")
    status = try Self.status(directory + "/status.json", isHeld: RunDirectory.isHeld(directory))
    summary = try Self.summary(directory + "/summary.json")
    hardTable = try Self.table(directory + "/expert_class.csv") { text in
      Int(text).flatMap { (0...1 << 32).contains($0) ? $0 : nil }
    }
    softTable = try Self.table(directory + "/expert_class_soft.csv") { text in
      Double(text).flatMap { (0...1e12).contains($0) ? $0 : nil }
    }
    try checkSizes()
  }

  /// The files must be about the same experts and classes.
  private func checkSizes() throws(Failure) {
    if let hardTable, let softTable {
      guard hardTable.count == softTable.count, hardTable.first?.count == softTable.first?.count else {
        throw Failure(
          .badData, "\(path)/expert_class_soft.csv and expert_class.csv have different rows or columns")
      }
    }
    if let hardTable, let share = evaluation?.expertShare, share.count != hardTable.count {
      throw Failure(
        .badData,
        "\(path)/expert_class.csv has \(hardTable.count) experts where metrics.jsonl has \(share.count)")
    }
  }

  // MARK: - JSON files

  private static func sessions(_ file: String) throws(Failure) -> [Session] {
    guard let reader = try FieldReader(file: file, limit: 1 << 26) else { return [] }
    var found: [Session] = []
    for entry in try reader.elements {
      let coarse = try entry["coarse_classes"]?.counts ?? []
      let names = try entry["coarse_class_names"]?.texts ?? []
      let classes = try entry["class_names"]?.texts ?? []
      guard coarse.isEmpty || (coarse.count == classes.count && coarse.allSatisfy { $0 < names.count })
      else { throw entry.wrong("consistent: 'coarse_classes' does not fit the names of the classes") }
      found.append(
        Session(
          started: try entry["started"]?.text, command: try entry["command"]?.texts ?? [],
          versions: try entry["versions"]?.pairs ?? [], gitCommit: try entry["git_commit"]?.text,
          buildFlags: try entry["build_flags"]?.text, hosts: try entry["hosts"]?.texts ?? [],
          placement: try entry["placement"]?.counts ?? [],
          levels: try entry["processor_levels"]?.texts ?? [],
          blasKernels: try entry["blas_kernels"]?.texts ?? [],
          fingerprints: try entry["data_fingerprints"]?.pairs ?? [], classNames: classes,
          coarseClassNames: names, coarseClasses: coarse, resumedFrom: try entry["resumed_from"]?.text))
    }
    return found
  }

  private static func status(_ file: String, isHeld: Bool) throws(Failure) -> Status? {
    guard let reader = try FieldReader(file: file, limit: 1 << 20) else { return nil }
    let state = try reader.required("state")
    guard let known = RunState(rawValue: try state.text) else {
      throw state.wrong("one of " + RunState.allCases.map(\.rawValue).joined(separator: ", "))
    }
    return Status(
      state: known == .running && !isHeld ? .interrupted : known, epoch: try reader["epoch"]?.count ?? 0,
      step: try reader["step"]?.count ?? 0,
      reason: try reader["reason"]?.text)
  }

  private static func summary(_ file: String) throws(Failure) -> Summary? {
    guard let reader = try FieldReader(file: file, limit: 1 << 26) else { return nil }
    return Summary(account: try account(reader["account"]), timing: try timing(reader["timing"]))
  }

  private static func account(_ reader: FieldReader?) throws(Failure) -> ComputeAccount? {
    guard let reader else { return nil }
    var experts: [ComputeAccount.Expert] = []
    // Sums of what was read must not overflow.
    var sum = 0
    func summand(_ place: FieldReader, _ key: String) throws(Failure) -> Int {
      let field = try place.required(key)
      let value = try field.count
      let (total, overflow) = sum.addingReportingOverflow(value)
      guard !overflow else { throw field.wrong("a count that the others leave room for") }
      sum = total
      return value
    }
    for entry in try reader.required("experts").elements {
      experts.append(
        ComputeAccount.Expert(
          expert: try entry.required("expert").count, layer: try entry["layer"]?.count ?? 1,
          owner: try entry.required("rank").count,
          rowsSelected: try summand(entry, "rows_selected"),
          rowsComputed: try summand(entry, "rows_computed"),
          forwardFlops: try summand(entry, "forward_flops"),
          backwardFlops: try summand(entry, "backward_flops")))
    }
    var account = ComputeAccount(
      rows: try reader.required("rows").count, experts: experts,
      gateForwardFlops: try summand(reader, "gate_forward_flops"),
      gateBackwardFlops: try summand(reader, "gate_backward_flops"),
      denseExpertFlops: try summand(reader, "dense_expert_flops"),
      bytesDispatched: try summand(reader, "bytes_dispatched"),
      bytesCombined: try summand(reader, "bytes_combined"),
      bytesReturned: try summand(reader, "bytes_returned"))
    if reader["trunk_forward_flops"] != nil {
      account.trunkForwardFlops = try summand(reader, "trunk_forward_flops")
      account.trunkBackwardFlops = try summand(reader, "trunk_backward_flops")
    }
    return account
  }

  private static func timing(_ reader: FieldReader?) throws(Failure) -> Timing? {
    guard let reader else { return nil }
    var phases: [Timing.Phase] = []
    for entry in try reader.required("phases").elements {
      phases.append(
        Timing.Phase(
          name: try entry.required("phase").text.split(separator: "_").joined(separator: " "),
          minimum: try entry.required("min_seconds").amount, mean: try entry.required("mean_seconds").amount,
          maximum: try entry.required("max_seconds").amount, share: try entry.required("share").amount))
    }
    var ranks: [Timing.Rank] = []
    for entry in try reader.required("ranks").elements {
      ranks.append(
        Timing.Rank(
          rank: try entry.required("rank").count, host: try entry.required("host").text,
          loopSeconds: try entry.required("loop_seconds").amount,
          peakMemory: try entry.required("peak_memory_bytes").count))
    }
    return Timing(
      steps: try reader.required("steps").count, samples: try reader.required("samples").count,
      loopSeconds: try reader.required("loop_seconds").amount,
      samplesPerSecond: try reader.required("samples_per_second").amount,
      stepSeconds: try reader["step_seconds_median"]?.amount,
      predictedStepSeconds: try reader["predicted_step_seconds"]?.amount, phases: phases, ranks: ranks)
  }

  // MARK: - Lines

  private static func lines(_ file: String) throws(Failure) -> [MetricsRecord] {
    guard let bytes = try SafeFile.read(file, limit: 1 << 30) else { return [] }
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
      if let count = record.expertShare?.count {
        guard count == experts ?? count else {
          throw Failure(.badData, "\(place): \(count) experts where lines before have \(experts ?? 0)")
        }
        experts = count
      }
      found.append(record)
    }
    return found
  }

  /// A table with a heading line and a name in every row's first place; nil where there is no such file.
  private static func table<Value>(_ file: String, _ value: (Substring) -> Value?) throws(Failure)
    -> [[Value]]?
  {
    guard let bytes = try SafeFile.read(file, limit: 1 << 27) else { return nil }
    let rows = bytes.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
    let columns = (rows.first?.split(separator: ",", omittingEmptySubsequences: false).count ?? 0) - 1
    guard (1...4096).contains(columns), rows.count > 1, rows[0].hasPrefix("expert,") else {
      throw Failure(.badData, "\(file):1: no table of experts and classes")
    }
    var table: [[Value]] = []
    for (number, row) in rows.enumerated().dropFirst() {
      let cells = row.split(separator: ",", omittingEmptySubsequences: false)
      let values = cells.dropFirst().compactMap(value)
      guard values.count == columns, cells.count == columns + 1 else {
        throw Failure(.badData, "\(file):\(number + 1): expected an expert and \(columns) counts, at least 0")
      }
      table.append(values)
    }
    return table
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
    mutualInformation = try reader["mutual_information"]?.number
    mutualInformationTrue = try reader["mutual_information_true"]?.number
    sampleEntropy = try reader["sample_entropy"]?.number
    usageEntropy = try reader["usage_entropy"]?.number
    taskEntropy = try reader["task_entropy"]?.number
    deadExperts = try reader["dead_experts"]?.count
    seconds = try reader["seconds"]?.number
    samplesPerSecond = try reader["samples_per_second"]?.number
    expertFlops = try reader["expert_flops"]?.count
    denseFlops = try reader["dense_flops"]?.count
    bytesDispatched = try reader["bytes_dispatched"]?.count
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
