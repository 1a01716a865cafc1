internal import DataSets
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
    try RunDirectory.check(directory)
    guard RunDirectory.exists(directory + "/config.yaml") else {
      throw Failure(
        .notFound,
        "\(directory) is no run directory: it has no config.yaml; name one that 'moe-dist train' wrote")
    }
    path = directory
    do {
      settings = try RunDirectory.settings(in: directory).entries
    } catch {
      throw Failure(error.code == .usage ? .badData : error.code, error.words)
    }
    sessions = try Self.sessions(directory + "/run.json")
    lines = try Self.lines(directory + "/metrics.jsonl")
    status = try Self.status(directory + "/status.json", isHeld: RunDirectory.isHeld(directory))
    summary = try Self.summary(directory + "/summary.json")
    hardTables = try Self.tables(directory + "/expert_class.csv", Self.count)
    let hard = hardTables
    let correct = try Self.tables(directory + "/expert_class_correct.csv", Self.count)
    correctTables = try Self.consistent(correct, with: hard, in: directory)
    let confused = try Self.tables(directory + "/confusion.csv", rowName: "true", Self.count)
    confusion = try Self.consistent(
      confused.first ?? [], with: hard.first, error: lines.last { $0.isOfTables }?.error, in: directory)
    softTables = try Self.tables(directory + "/expert_class_soft.csv") { text in
      Double(text).flatMap { (0...1e12).contains($0) ? $0 : nil }
    }
    expertImages = try Self.images(directory + "/" + RunDirectory.imagesName)
    samples = try RecordedSample.read(directory + "/" + RunDirectory.samplesName)
    try checkSizes()
  }

  /// A count of samples.
  private static func count(_ text: Substring) -> Int? {
    Int(text).flatMap { (0...1 << 32).contains($0) ? $0 : nil }
  }

  /// Counts of right answers, if they are of the evaluation that the samples by expert and class are of: a process that
  /// was killed may have replaced one file and not the other.
  private static func consistent(
    _ correct: [[[Int]]], with hard: [[[Int]]], in path: String
  ) throws(Failure) -> [[[Int]]] {
    guard !correct.isEmpty, !hard.isEmpty else { return [] }
    guard correct.count == hard.count, correct[0].count == hard[0].count,
      correct[0][0].count == hard[0][0].count
    else {
      throw Failure(
        .badData, "\(path)/expert_class_correct.csv and expert_class.csv have different rows or columns")
    }
    let isWithin = zip(correct.joined().joined(), hard.joined().joined()).allSatisfy { $0 <= $1 }
    return isWithin ? correct : []
  }

  /// The confusion matrix, if it is of the evaluation that the other files are of.
  private static func consistent(
    _ table: [[Int]], with hard: [[Int]]?, error: Double?, in path: String
  ) throws(Failure) -> [[Int]] {
    guard let columns = table.first?.count else { return [] }
    guard columns == table.count, columns == hard?.first?.count ?? columns else {
      throw Failure(
        .badData,
        "\(path)/confusion.csv: expected a row and a column for every class, found \(table.count) rows of \(columns)"
      )
    }
    let samples = table.joined().reduce(0, +)
    let wrong = samples - table.indices.reduce(0) { $0 + table[$1][$1] }
    if let hard, hard.joined().reduce(0, +) != samples { return [] }
    if let error, (error * Double(samples) - Double(wrong)).magnitude > 0.5 { return [] }
    return table
  }

  /// A picture that is larger than a run's own is none of it.
  private static func images(_ file: String) throws(Failure) -> (file: [UInt8], width: Int, height: Int)? {
    guard let bytes = try SafeFile.read(file, limit: ImageWall.limit, followingLinks: false) else {
      return nil
    }
    guard let size = PNG.size(of: bytes) else {
      throw Failure(.badData, "\(file): expected a PNG file, found something else; remove it")
    }
    return (bytes, size.width, size.height)
  }

  /// The files must be about the same layers, experts and classes.
  private func checkSizes() throws(Failure) {
    if !hardTables.isEmpty, !softTables.isEmpty {
      let (hard, soft) = (hardTables[0], softTables[0])
      guard hardTables.count == softTables.count, hard.count == soft.count,
        hard.first?.count == soft.first?.count
      else {
        throw Failure(
          .badData, "\(path)/expert_class_soft.csv and expert_class.csv have different rows or columns")
      }
    }
    if let hard = hardTables.first, let share = evaluation?.expertShare, share.count != hard.count {
      throw Failure(
        .badData,
        "\(path)/expert_class.csv has \(hard.count) experts where metrics.jsonl has \(share.count)")
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
    account.traffic = try traffic(reader["between_ranks"])
    return account
  }

  private static func traffic(_ reader: FieldReader?) throws(Failure) -> RankTraffic? {
    guard let reader else { return nil }
    let ranks = try reader.required("rows_dispatched").elements.count
    func table(_ key: String) throws(Failure) -> [[Int]] {
      let field = try reader.required(key)
      var rows: [[Int]] = []
      for row in try field.elements { rows.append(try row.counts) }
      // So many that no sum of them can overflow.
      guard rows.count == ranks, rows.allSatisfy({ $0.count == ranks }),
        rows.joined().allSatisfy({ $0 <= 1 << 50 }), ranks <= 4096
      else { throw field.wrong("a table of counts with a row and a column for every rank") }
      return rows
    }
    return RankTraffic(
      rowsDispatched: try table("rows_dispatched"), bytesDispatched: try table("bytes_dispatched"),
      rowsCombined: try table("rows_combined"), bytesCombined: try table("bytes_combined"))
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
}
