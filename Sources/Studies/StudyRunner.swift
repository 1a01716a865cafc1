internal import DataSets
public import Dist
internal import Files
internal import Glibc
internal import Records
internal import Training

/// Trains the runs of a study, one after the other, until none is left.
///
/// Any number of groups of ranks, of one job or of several, may work on one directory: each takes the next run that no other
/// group holds. A run depends on its settings alone, so the results are the same however many groups and ranks there are. A
/// group that waits looks again a few times a second.
public final class StudyRunner {
  let study: Study
  let directory: StudyDirectory
  let host: StudyHost
  private var ended: [String: StudyRunState] = [:]
  private(set) var seconds: [String: Double] = [:]
  private var chosen: [String: Int] = [:]
  /// Of the run that is being trained, on rank 0 of its group.
  private var claim: StudyRunClaim?
  private let costs: [String: Double]
  private let costOfMethod: [String: Double]
  var dataSets: [String: DataSet]
  private(set) var lastReport = PhaseClock.now()

  /// Reads the data and checks every run of the plan, and those that the directory has already.
  ///
  /// - Throws: ``Failure`` for settings, data or runs that do not fit.
  public init(_ study: Study, in directory: StudyDirectory, host: StudyHost) throws {
    self.study = study
    self.directory = directory
    self.host = host
    var dataSets: [String: DataSet] = [:]
    var costs: [String: Double] = [:]
    var costOfMethod: [String: Double] = [:]
    for (run, configuration) in try study.configurations() {
      let key = Self.dataKey(configuration)
      let data = try dataSets[key] ?? host.load(configuration)
      dataSets[key] = data
      costs[run.id] = StudyCost.flops(configuration, data)
      costOfMethod[run.method] = costs[run.id]
      try directory.check(run, against: StudyRunRecord(run, configuration, data: data.fingerprints))
    }
    self.dataSets = dataSets
    self.costs = costs
    self.costOfMethod = costOfMethod
  }

  /// The settings that a data set is read by.
  static func dataKey(_ configuration: Configuration) -> String {
    let keys = [
      "dataset", "data-dir", "train-images", "train-labels", "test-images", "test-labels", "mean", "std",
      "train-samples", "test-samples", "augment",
    ]
    return ConfigurationSchema.settings.filter { keys.contains($0.key) }
      .map { "\($0.key)=\($0.text(configuration) ?? "")" }.joined(separator: "\n")
  }

  /// SHA-256 of the data by name of the data set and part.
  public var fingerprints: [String: String] {
    var all: [String: String] = [:]
    for key in dataSets.keys.sorted() {
      guard let data = dataSets[key] else { continue }
      for (part, digest) in data.fingerprints { all["\(data.name) \(part)"] = digest }
    }
    return all
  }

  // MARK: - The plan and what it costs

  /// The runs, what they are expected to compute and, where a run has finished here, how long they will take.
  public func planText() throws -> String {
    var table = TextTable(heading: ["run", "state", "FLOPs", "starts from"])
    let runs = study.expectedRuns(try selections())
    var total = 0.0
    for run in runs {
      let state = try state(of: run)
      if state == .toDo { total += cost(run) }
      let word = state == .toDo ? "to do" : state == .finished ? "finished" : "diverged"
      table.add([run.id, word, withPrefix(cost(run)), run.source ?? "-"])
    }
    var text = table.text + "\n\(runs.count) runs; \(withPrefix(total, "FLOPs")) to do"
    if let remaining = try secondsRemaining(runs) {
      text += ", about \(durationText(remaining)) at the speed of the finished runs"
    }
    let depends = study.methods.contains { method in
      method.source.flatMap { study.method($0.method) }.map { $0.candidates.count > 1 } ?? false
    }
    if depends {
      text += "\nWhat starts from a method with a grid will start from the setting that is chosen"
    }
    return text + "\n"
  }

  /// A run whose source was chosen is not among the expected ones, but costs what the method's others do.
  private func cost(_ run: StudyRun) -> Double { costs[run.id] ?? costOfMethod[run.method] ?? 0 }

  private func secondsRemaining(_ runs: [StudyRun]) throws -> Double? {
    var done = 0.0
    var doneSeconds = 0.0
    var left = 0.0
    for run in runs {
      if try state(of: run) == .toDo { left += cost(run) }
      if let seconds = seconds[run.id], seconds > 0 {
        done += cost(run)
        doneSeconds += seconds
      }
    }
    guard done > 0 else { return nil }
    return left * doneSeconds / done / Double(max(host.lanes, 1))
  }

  func report(_ current: String?) throws {
    lastReport = PhaseClock.now()
    let runs = study.expectedRuns(try selections())
    let states = try runs.map { try state(of: $0) }
    host.progress(
      StudyProgress(
        runs: runs.count, done: states.filter(\.isEnd).count,
        diverged: states.filter { $0.isEnd && $0 != .finished }.count, current: current,
        secondsRemaining: try secondsRemaining(runs)))
  }

  // MARK: - What is known

  /// How a run stands; what has ended is read once.
  package func state(of run: StudyRun) throws -> StudyRunState {
    if let known = ended[run.id] { return known }
    var state = try directory.state(of: run)
    if state == .toDo, let source = run.source, let known = ended[source], known != .finished {
      state = .blocked("it starts from \(source), which diverged")
    }
    if state.isEnd {
      ended[run.id] = state
      seconds[run.id] = try directory.record(of: run.id)?.seconds
    }
    return state
  }

  /// The chosen setting of every method with a choice whose runs have all ended.
  package func selections() throws -> [String: Int] {
    for method in study.methods where method.candidates.count > 1 && chosen[method.name] == nil {
      let runs = study.runs(chosen).filter { $0.method == method.name }
      guard !runs.isEmpty, try runs.allSatisfy({ try state(of: $0).isEnd }) else { continue }
      chosen[method.name] = StudySelection.choose(try candidates(method, runs)) ?? 0
    }
    return chosen
  }

  package func candidates(_ method: StudyMethod, _ runs: [StudyRun]) throws -> [StudySelection.Candidate] {
    try method.candidates.indices.map { index in
      let own = runs.filter { $0.candidate == index }
      let errors = try own.compactMap { run in
        try state(of: run) == .finished
          ? try directory.figures(of: run.id, split: "validation")?[.error] : nil
      }
      return StudySelection.Candidate(settings: method.candidates[index], errors: errors, runs: own.count)
    }
  }

  // MARK: - The work

  /// Works until every run has ended, or until a rank was asked to stop. Collective over the group: its rank 0 says which run
  /// is next, and all of it train it.
  ///
  /// - Parameter group: the ranks that train a run together, each with a runner of its own.
  /// - Returns: whether every run has ended; the same on all ranks.
  /// - Throws: what ends a run other than divergence, such as a full disk.
  public func work(over group: any Communicator = LocalCommunicator()) throws -> Bool {
    do {
      if group.rank == 0 {
        try directory.make()
        try report(nil)
      }
      while try group.allReduceMax(host.stopRequested() ? 1 : 0) == 0 {
        switch try next(over: group) {
        case .end: return true
        case .run(let run): try train(run, over: group)
        case .wait: usleep(200_000)
        }
        if group.rank == 0, PhaseClock.now() - lastReport > 10 { try report(nil) }
      }
      return try group.allReduceMax(group.rank == 0 && openRuns() == nil ? 1 : 0) == 1
    } catch let agreed as AgreedError {
      // The ranks of other groups know nothing of it: the first of this one says it to the job, and the rest let it.
      guard host.lanes > 1 else { throw agreed }
      if group.rank != 0 { sleep(10) }
      throw Failure(behind: agreed)
        ?? Failure(ExitCode(rawValue: agreed.exitCode) ?? .internalError, Message(agreed))
    }
  }

  /// The runs that are to be done; nil where every run of the study has ended.
  private func openRuns() throws -> [StudyRun]? {
    let selections = try selections()
    let runs = study.runs(selections)
    let open = try runs.filter { try state(of: $0) == .toDo }
    return open.isEmpty && runs.count == study.expectedRuns(selections).count ? nil : open
  }

  private enum Next {
    case run(StudyRun)
    /// Other groups have what is left, or what it starts from.
    case wait
    /// Every run has ended.
    case end
  }

  /// What rank 0 finds to be done, on all ranks of the group.
  private func next(over group: any Communicator) throws -> Next {
    claim = nil
    var found = Next.wait
    if group.rank == 0 {
      if let open = try openRuns() {
        if let run = try claimOne(of: open) { found = .run(run) }
      } else {
        found = .end
      }
    }
    guard group.size > 1 else { return found }
    // Which runs there are depends on the settings that were chosen.
    let words: [String] =
      switch found {
      case .run(let run):
        ["run", run.id] + chosen.sorted { $0.key < $1.key }.flatMap { [$0.key, "\($0.value)"] }
      case .wait: ["wait"]
      case .end: ["end"]
      }
    let told = try group.broadcast(text: words.joined(separator: "\n")).split(separator: "\n").map(
      String.init)
    guard group.rank != 0 else { return found }
    guard told[0] == "run" else { return told[0] == "end" ? .end : .wait }
    chosen = [:]
    for place in stride(from: 2, to: told.count, by: 2) { chosen[told[place]] = Int(told[place + 1]) }
    guard let run = study.runs(chosen).first(where: { $0.id == told[1] }) else {
      preconditionFailure("every rank has the same study")
    }
    return .run(run)
  }

  /// Takes the most expensive run that nobody has and that can start.
  private func claimOne(of open: [StudyRun]) throws -> StudyRun? {
    // Long runs first, so that the last ones to end are short.
    let order = open.indices.sorted { a, b in
      let (costA, costB) = (cost(open[a]), cost(open[b]))
      return costA != costB ? costA > costB : a < b
    }
    for index in order {
      let run = open[index]
      if let source = run.source, ended[source] != .finished { continue }
      guard let claim = try directory.claim(run.id) else { continue }
      // Another group may have ended it before it was claimed.
      guard try directory.state(of: run) == .toDo else { continue }
      self.claim = claim
      return run
    }
    return nil
  }
}
