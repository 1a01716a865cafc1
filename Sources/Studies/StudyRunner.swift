internal import DataSets
internal import Glibc
internal import Records
internal import Training

/// Trains the runs of a study, each in this process alone, until none is left.
///
/// Any number of processes, the ranks of one job or several jobs, may work on one directory: each takes the next run that
/// no other process holds. A run depends on its settings alone, so the results are the same however many there are. A
/// process that waits looks again a few times a second.
public final class StudyRunner {
  let study: Study
  let directory: StudyDirectory
  let host: StudyHost
  private var ended: [String: StudyRunState] = [:]
  private(set) var seconds: [String: Double] = [:]
  private var chosen: [String: Int] = [:]
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
      text += ", about \(durationText(remaining)) on \(host.ranks) ranks at the speed of the finished runs"
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
    return left * doneSeconds / done / Double(max(host.ranks, 1))
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

  /// Works until every run has ended, or until this process was asked to stop.
  ///
  /// - Returns: whether every run has ended.
  /// - Throws: what ends a run other than divergence, such as a full disk.
  public func work() throws -> Bool {
    try directory.make()
    try report(nil)
    while !host.stopRequested() {
      let selections = try selections()
      let runs = study.runs(selections)
      let open = try runs.filter { try state(of: $0) == .toDo }
      if open.isEmpty, runs.count == study.expectedRuns(selections).count { return true }
      guard try !takeOne(of: open) else { continue }
      usleep(200_000)
      if PhaseClock.now() - lastReport > 10 { try report(nil) }
    }
    return try isComplete()
  }

  private func isComplete() throws -> Bool {
    let selections = try selections()
    let runs = study.runs(selections)
    return try runs.count == study.expectedRuns(selections).count
      && runs.allSatisfy { try state(of: $0).isEnd }
  }

  /// Trains the most expensive run that nobody has and that can start.
  private func takeOne(of open: [StudyRun]) throws -> Bool {
    // Long runs first, so that the last ones to end are short.
    let order = open.indices.sorted { a, b in
      let (costA, costB) = (cost(open[a]), cost(open[b]))
      return costA != costB ? costA > costB : a < b
    }
    for index in order {
      let run = open[index]
      if let source = run.source, ended[source] != .finished { continue }
      guard let claim = try directory.claim(run.id) else { continue }
      try withExtendedLifetime(claim) {
        // Another process may have ended it before it was claimed.
        guard try directory.state(of: run) == .toDo else { return }
        try train(run)
      }
      if try state(of: run).isEnd { try report(nil) }
      return true
    }
    return false
  }
}
