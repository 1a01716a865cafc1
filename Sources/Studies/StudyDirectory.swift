package import Files
internal import Glibc
internal import Records
package import Training

/// How a run of a study stands.
package enum StudyRunState: Equatable, Sendable {
  case toDo
  case finished
  /// The loss was not finite; the run is not tried again.
  case diverged(String)
  /// The run that it starts from diverged.
  case blocked(String)

  /// Whether nothing more is to come.
  package var isEnd: Bool { self != .toDo }
}

/// A directory with the runs of a study, and with its results.
public struct StudyDirectory: Sendable {
  public let path: String

  public init(_ path: String) { self.path = path }

  /// A run's own directory: one as `train` makes it, with `study.json` and `conditional.json` beside the rest.
  package func run(_ id: String) -> String { "\(path)/runs/\(id)" }

  package func file(_ name: String) -> String { "\(path)/\(name)" }

  package func make() throws(Failure) {
    try SafeFile.makeDirectories(file("runs"))
    try SafeFile.makeDirectories(file("claims"))
  }

  // MARK: - Runs

  package func state(of run: StudyRun) throws(Failure) -> StudyRunState {
    let directory = self.run(run.id)
    guard let status = try Self.json("\(directory)/status.json") else { return .toDo }
    switch status["state"]?.stringValue {
    case RunState.diverged.rawValue:
      return .diverged(status["reason"]?.stringValue ?? "the loss was not finite")
    case RunState.finished.rawValue:
      let isWhole = !run.isEvaluatedConditionally || RunDirectory.exists("\(directory)/conditional.json")
      return isWhole && RunDirectory.exists("\(directory)/study.json") ? .finished : .toDo
    default: return .toDo
    }
  }

  /// The last figures of a split in `metrics.jsonl`; nil where there are none.
  package func figures(of id: String, split: String) throws(Failure) -> StudyFigures? {
    let name = "\(run(id))/metrics.jsonl"
    guard let bytes = try SafeFile.read(name, limit: 1 << 30, followingLinks: false) else { return nil }
    for line in bytes.split(separator: UInt8(ascii: "\n")).reversed() {
      guard let json = try? JSONValue(parsing: Array(line)) else {
        throw Failure(.badData, "\(name) has a line that is no JSON; remove \(run(id)) to train it again")
      }
      if json["split"]?.stringValue == split { return StudyFigures(json) }
    }
    return nil
  }

  /// The figures of the test set, and the training loss of the last epoch; nil before the run has ended.
  package func figures(of id: String) throws(Failure) -> StudyFigures? {
    guard var figures = try figures(of: id, split: "test") else { return nil }
    figures[.trainingLoss] = try self.figures(of: id, split: "train")?[.loss]
    return figures
  }

  /// The figures of the arg-max expert alone.
  package func conditionalFigures(of id: String) throws(Failure) -> StudyFigures? {
    try Self.json("\(run(id))/conditional.json").map { StudyFigures($0) }
  }

  package func record(of id: String) throws(Failure) -> StudyRunRecord? {
    try Self.json("\(run(id))/study.json").map { StudyRunRecord($0) }
  }

  package func write(_ record: StudyRunRecord, of id: String) throws(Failure) {
    try SafeFile.replace("\(run(id))/study.json", record.json.text(pretty: true) + "\n")
  }

  private static func json(_ name: String) throws(Failure) -> JSONValue? {
    guard let bytes = try SafeFile.read(name, limit: 1 << 22, followingLinks: false) else { return nil }
    guard let json = try? JSONValue(parsing: bytes) else {
      throw Failure(.badData, "\(name) is no JSON; remove the directory that it is in to train the run again")
    }
    return json
  }

  /// Checks that a run that is there already is the one that is wanted.
  ///
  /// - Throws: ``Failure`` that names the setting or the data that differ.
  package func check(_ run: StudyRun, against wanted: StudyRunRecord) throws(Failure) {
    guard let found = try record(of: run.id), let difference = found.difference(from: wanted) else { return }
    throw Failure(
      .usage,
      "\(self.run(run.id)) was made with \(difference); use another \(setting: "out"), or remove that directory"
    )
  }

  /// Takes a run for this process, until the claim goes or the process ends; nil where another process has it.
  package func claim(_ id: String) throws(Failure) -> StudyRunClaim? {
    let name = file("claims/\(id).lock")
    let file = try CheckedFile.locking(name)
    if let problem = file.lock() {
      if problem.number == EWOULDBLOCK { return nil }
      throw Failure(
        .inputOutput,
        "cannot lock \(name): \(problem.words); a study needs a file system with locks, see flock(2)")
    }
    return StudyRunClaim(file)
  }
}

/// Holds a run for this process.
package final class StudyRunClaim {
  private let file: CheckedFile
  init(_ file: consuming CheckedFile) { self.file = file }
}

/// What made a run: the content of `study.json`, by which a later call knows whether the run is the one it wants.
package struct StudyRunRecord: Equatable, Sendable {
  /// Every setting that determines the result, resolved, without paths.
  package var settings: [String: String]
  package var source: String?
  /// SHA-256 of the data by part.
  package var data: [String: String]
  /// Seconds of training so far.
  package var seconds = 0.0

  /// - Parameter configuration: resolved, whatever the path of its source is.
  package init(_ run: StudyRun, _ configuration: Configuration, data: [String: String]) {
    settings = [:]
    for setting in ConfigurationSchema.settings {
      let counts = setting.effect != .run || ["epochs", "max-steps"].contains(setting.key)
      if counts, setting.key != run.sourceKey, let text = setting.text(configuration) {
        settings[setting.key] = text
      }
    }
    source = run.source
    self.data = data
  }

  init(_ json: JSONValue) {
    func texts(_ value: JSONValue?) -> [String: String] {
      guard case .object(let members)? = value else { return [:] }
      var texts: [String: String] = [:]
      for member in members { texts[member.key] = member.value.stringValue }
      return texts
    }
    settings = texts(json["settings"])
    data = texts(json["data"])
    source = json["source"]?.stringValue
    seconds = json["seconds"]?.numberValue ?? 0
  }

  var json: JSONValue {
    [
      "settings": JSONValue(settings), "data": JSONValue(data), "source": JSONValue(source),
      "seconds": .number(seconds),
    ]
  }

  /// The first difference that matters, in words; nil where there is none.
  func difference(from wanted: StudyRunRecord) -> String? {
    for key in Set(settings.keys).union(wanted.settings.keys).sorted()
    where settings[key] != wanted.settings[key] {
      return "\(key) \(settings[key] ?? "unset"), not \(wanted.settings[key] ?? "unset")"
    }
    if source != wanted.source { return "source \(source ?? "none"), not \(wanted.source ?? "none")" }
    for part in Set(data.keys).union(wanted.data.keys).sorted() where data[part] != wanted.data[part] {
      return "other data: \(part) has another SHA-256"
    }
    return nil
  }
}
