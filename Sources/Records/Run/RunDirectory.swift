public import Files
internal import Glibc

/// The directory that a run is kept in; made and written by rank 0 alone, except for `errors/`.
///
/// A run directory belongs to one process at a time: it is locked from ``create(_:)`` or ``reopen(_:)`` until the
/// object goes or the process ends.
public final class RunDirectory {
  public let path: String
  /// Holds the lock on `lock`.
  private let lock: CheckedFile
  /// Says whose the directory is, where the file system has no locks.
  private let owned: OwnerFile?
  /// The columns of `metrics.csv`, once it was written here.
  var table: MetricsTable?
  /// What TensorBoard reads of this process; nil: nothing.
  package var events: EventFiles?

  private init(path: String, lock: consuming CheckedFile, owned: OwnerFile?) {
    self.path = path
    self.lock = lock
    self.owned = owned
  }

  /// What is to be said about how the directory is held; nil where a lock holds it.
  public var lockNote: String? { owned?.note }

  // MARK: - Making and finding

  /// Makes a new directory, and those above it.
  ///
  /// - Throws: ``Failure`` with the exit code for what cannot be made, also where it exists already: a run is never
  ///   overwritten.
  public static func create(_ path: String) throws(Failure) -> RunDirectory {
    if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
      try SafeFile.makeDirectories(String(path[..<slash]))
    }
    guard mkdir(path, 0o755) == 0 else {
      if errno == EEXIST {
        throw Failure(
          .cannotCreate,
          "run directory \(path) exists already; continue it with \(setting: "resume") auto or choose another with \(setting: "run-dir")"
        )
      }
      throw SystemError.last.making(
        "run directory \(path)", advice: "choose another with \(setting: "run-dir")")
    }
    return try reopen(path)
  }

  /// Takes hold of an existing directory, to continue its run.
  ///
  /// - Throws: ``Failure`` where another process holds it, or where it is none.
  public static func reopen(_ path: String) throws(Failure) -> RunDirectory {
    try check(path)
    let lock = try CheckedFile.locking(path + "/lock")
    var owned: OwnerFile?
    if let problem = lock.lock() {
      guard problem.number != EWOULDBLOCK else { throw OwnerFile.taken(path, by: "another process") }
      guard OwnerFile.isForLack(problem) else {
        throw Failure(.cannotCreate, "cannot use run directory \(path): \(problem.words)")
      }
      owned = try OwnerFile(in: path)
    }
    let directory = RunDirectory(path: path, lock: lock, owned: owned)
    // A killed process may have left files half written.
    try CheckpointDirectory(path).removeUnfinished()
    return directory
  }

  /// Removes the directory where nothing was written to it yet: a run that could not begin leaves no trace.
  public func discardIfEmpty() {
    unlink(file("lock"))
    rmdir(path)
  }

  /// Whether something is at a path.
  public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// Whether a process writes the run. Where that cannot be known, one is taken to.
  package static func isHeld(_ path: String) -> Bool {
    if OwnerFile.isHeld(path) { return true }
    do throws(Failure) {
      let lock = try CheckedFile.reading(path + "/lock", followingLinks: false)
      guard let problem = lock.lock(isShared: true) else { return false }
      return !OwnerFile.isForLack(problem)
    } catch { return error.code != .notFound }
  }

  /// What `status.json` says; nil where there is none, or none that can be understood.
  ///
  /// - Throws: ``Failure`` where it cannot be read.
  package static func state(of path: String) throws(Failure) -> RunState? {
    guard let bytes = try SafeFile.read(path + "/status.json", limit: 1 << 20, followingLinks: false) else {
      return nil
    }
    return (try? JSONValue(parsing: bytes))?["state"]?.stringValue.flatMap(RunState.init(rawValue:))
  }

  /// The rank of every expert and the number of ranks in the newest session of a run; nil where `run.json` is not there,
  /// or tells neither.
  ///
  /// - Throws: ``Failure`` where it cannot be read.
  public static func placement(of path: String) throws(Failure) -> (owners: [Int], ranks: Int)? {
    guard let bytes = try SafeFile.read(path + "/run.json", limit: 1 << 26, followingLinks: false),
      case .array(let sessions)? = try? JSONValue(parsing: bytes), let last = sessions.last,
      let ranks = last["ranks"]?.integerValue, case .array(let values)? = last["placement"]
    else { return nil }
    let owners = values.compactMap(\.integerValue)
    guard owners.count == values.count, owners.allSatisfy({ (0..<ranks).contains($0) }) else { return nil }
    return (owners, ranks)
  }

  /// What is to be said of a run whose process ended without a word; nil where it did not.
  ///
  /// - Throws: ``Failure`` for a `status.json` that cannot be read.
  public static func interruption(of path: String) throws(Failure) -> String? {
    guard try state(of: path) == .running, !isHeld(path) else { return nil }
    return "NOTE: \(path) was interrupted: its process was killed, or its host failed"
  }

  /// The first free name of the form `runs/<dataset>-<gate>-<date>-<n>`, n from 1.
  ///
  /// - Parameter date: year, month and day, e.g. `2024-05-17`.
  public static func freePath(in parent: String = "runs", dataset: String, gate: String, date: String)
    -> String
  {
    var number = 1
    while exists("\(parent)/\(dataset)-\(gate)-\(date)-\(number)") { number += 1 }
    return "\(parent)/\(dataset)-\(gate)-\(date)-\(number)"
  }

  /// Checks that a path is a directory, or a link to one, and that what a run keeps in it is its own: plain files, and
  /// directories of figures and errors. A link would lead out of the run, a FIFO is waited for, and no command could do
  /// its work with either. What is not there is no fault; checkpoints are looked at when they are opened.
  ///
  /// - Throws: ``Failure`` with the exit code for bad data, that names the first that is something else.
  package static func check(_ path: String) throws(Failure) {
    guard let kind = FileKind(at: path, followingLinks: true) else { return }
    guard kind == .directory else {
      throw Failure(
        .badData, "\(path): expected a run directory, found \(kind.rawValue); name the directory of a run")
    }
    func check(_ names: some Sequence<String>, _ expected: FileKind) throws(Failure) {
      for name in names {
        guard let kind = FileKind(at: "\(path)/\(name)", followingLinks: false), kind != expected else {
          continue
        }
        throw kind.failure(at: "\(path)/\(name)", expected: expected, isOfRun: true)
      }
    }
    try check(fileNames.union(["report.html"]).sorted(), .plain)
    try check(["errors", "figures"], .directory)
  }

  // MARK: - The files

  /// What a run keeps, beside checkpoints, `errors` and what is made from them.
  static let fileNames: Set<String> = [
    "config.yaml", "run.json", "status.json", "metrics.jsonl", "metrics.csv", "summary.json",
    "expert_class.csv", "expert_class_correct.csv", "expert_class_soft.csv", "confusion.csv", imagesName,
    samplesName, "lock", "owner", "control", "study.json", "conditional.json", CheckpointDirectory.latestName,
  ]

  /// The file of ``write(expertImages:)``.
  package static let imagesName = "expert_images.png"

  /// The file of ``write(samples:)``.
  package static let samplesName = "samples.json"

  /// Whether a name is that of a file that a run keeps.
  static func isOwn(_ name: String) -> Bool { fileNames.contains(name) || EventFiles.isOne(name) }

  /// The path of a file in this directory.
  public func file(_ name: String) -> String { path + "/" + name }

  /// Writes the tables of an evaluation, replacing those of the last one: `confusion.csv`, and where there is a gate
  /// `expert_class.csv`, `expert_class_correct.csv` and `expert_class_soft.csv`.
  public func write(tablesOf metrics: Metrics) throws(Failure) {
    let hard = metrics.gates.compactMap(\.hardTable)
    let correct = metrics.gates.compactMap(\.correctTable)
    let soft = metrics.gates.compactMap(\.softTable)
    if let table = metrics.confusion {
      try SafeFile.replace(file("confusion.csv"), Metrics.confusionText(table))
    }
    if !correct.isEmpty {
      try SafeFile.replace(file("expert_class_correct.csv"), Metrics.expertClassText(correct))
    }
    if !hard.isEmpty { try SafeFile.replace(file("expert_class.csv"), Metrics.expertClassText(hard)) }
    if !soft.isEmpty { try SafeFile.replace(file("expert_class_soft.csv"), Metrics.expertClassText(soft)) }
  }

  /// Writes `expert_images.png`: a row of images per expert, that chose it.
  package func write(expertImages picture: [UInt8]) throws(Failure) {
    try SafeFile.replace(file(Self.imagesName), picture)
  }

  /// Writes `samples.json`: what happened to a few test samples.
  package func write(samples: JSONValue) throws(Failure) {
    try SafeFile.replace(file(Self.samplesName), samples.text(pretty: true) + "\n")
  }

  /// Replaces `status.json`.
  public func write(status: RunStatus) throws(Failure) {
    try SafeFile.replace(file("status.json"), status.json.text(pretty: true) + "\n")
  }

  /// Writes `summary.json`.
  public func write(summary: RunSummary) throws(Failure) {
    try SafeFile.replace(file("summary.json"), summary.json.text(pretty: true) + "\n")
  }

  /// Adds to the list in `run.json` what this process is: one entry per start and resume.
  public func append(session: RunSession) throws(Failure) {
    let name = file("run.json")
    var sessions: [JSONValue] = []
    if let bytes = try SafeFile.read(name, limit: 1 << 26, followingLinks: false) {
      guard let json = try? JSONValue(parsing: bytes), case .array(let earlier) = json else {
        throw Failure(.badData, "\(name) is no JSON list of sessions; remove it to resume")
      }
      sessions = earlier
    }
    sessions.append(session.json)
    try SafeFile.replace(name, JSONValue.array(sessions).text(pretty: true) + "\n")
  }

  /// The first word of the file `control`, which is removed; nil where there is none.
  package func takeControl() -> String? {
    let name = file("control")
    guard RunDirectory.exists(name) else { return nil }
    let bytes = (try? SafeFile.read(name, limit: 4096, followingLinks: false)) ?? nil
    unlink(name)
    guard let bytes else { return nil }
    return String(decoding: bytes, as: UTF8.self).split { $0.isWhitespace }.first.map(String.init) ?? ""
  }

  // MARK: - By any rank

  /// Writes `errors/rank-NNN.json`, by the rank that failed. A failure to write it is not reported: the error itself
  /// is on its way to standard error.
  public static func writeError(in path: String, rank: Int, host: String, code: Int32, message: String) {
    guard exists(path) else { return }
    mkdir(path + "/errors", 0o755)
    guard FileKind(at: path + "/errors", followingLinks: false) == .directory else { return }
    let digits = String(rank)
    let name = String(repeating: "0", count: max(0, 3 - digits.count)) + digits
    let error: JSONValue = [
      "rank": .integer(rank), "host": .string(host), "exit_code": .integer(Int(code)),
      "message": .string(message),
    ]
    try? SafeFile.replace(path + "/errors/rank-\(name).json", error.text(pretty: true) + "\n")
  }

  /// Writes `status.json` for a run that ends by an error, by the rank that failed.
  public static func writeFailure(in path: String, state: RunState, reason: String) {
    guard exists(path) else { return }
    let name = path + "/status.json"
    var status: [JSONValue.Member] = []
    if let bytes = try? SafeFile.read(name, limit: 1 << 20, followingLinks: false),
      case .object(let members)? = try? JSONValue(parsing: bytes)
    {
      status = members.filter { $0.key != "state" && $0.key != "reason" }
    }
    status += [
      .init(key: "state", value: .string(state.rawValue)), .init(key: "reason", value: .string(reason)),
    ]
    try? SafeFile.replace(name, JSONValue.object(status).text(pretty: true) + "\n")
  }
}
