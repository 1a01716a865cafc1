public import Files
internal import MoE
internal import Training

/// A row of a study's tables: a method with its chosen setting, over seeds.
package struct StudyRow: Equatable, Sendable {
  package let group: String
  package let name: String
  package let label: String
  /// The chosen setting; empty where there was no grid.
  package let settings: [StudySetting]
  /// The chosen setting of the method that it starts from; empty where there was no grid.
  package let sourceSettings: [StudySetting]
  /// How many settings it was chosen from.
  package let choices: Int
  /// Figures of the runs that finished, by number of seed.
  package let figures: [Int: StudyFigures]
  /// Mean over seeds; nil without validation samples.
  package let validationError: Spread?
  /// The runs that did not finish, each with the reason.
  package let failures: [String]
  /// Settings that were tried and their validation errors, in the order of the grid.
  package let candidates: [StudySelection.Candidate]
  package let published: PublishedRow?
  /// Whether the mean test error is within two published standard deviations of the published mean; nil where there is
  /// nothing to compare with.
  package let isWithinTwo: Bool?
  /// Whether experts are chosen by the labels, also those of the test set.
  package var isOracle = false

  /// `importance=0.2`, or `from importance=0.2` for a method that starts from another's runs.
  package var settingText: String {
    let parts = [sourceSettings, settings].map { $0.map(\.words).joined(separator: " ") }
    return [parts[0].isEmpty ? "" : "from " + parts[0], parts[1]].filter { !$0.isEmpty }.joined(
      separator: "; ")
  }

  /// What tables call it.
  package var title: String { isOracle ? label + " (sees labels)" : label }

  /// A metric over seeds; nil where no run has it.
  package func spread(_ metric: StudyMetric) -> Spread? {
    Spread(figures.keys.sorted().compactMap { figures[$0]?[metric] })
  }
}

/// Everything that a finished study says.
public struct StudyResults: Sendable {
  package let study: Study
  package let rows: [StudyRow]
  package let verdicts: [StudyVerdict]
  /// The best row of a sweep by validation error; nil where it is none or has no validation samples.
  package let best: StudyRow?
  /// Why there is no figure at all; nil where a run finished.
  public let failure: Failure?
  package let command: [String]
  package let versions: [String: String]
  package let fingerprints: [String: String]
  /// Sum over runs of the seconds that their training took.
  package let trainingSeconds: Double

  /// Makes rows and verdicts of what is known.
  package init(
    study: Study, rows: [StudyRow], command: [String], versions: [String: String],
    fingerprints: [String: String], trainingSeconds: Double
  ) {
    self.study = study
    self.rows = rows
    self.command = command
    self.versions = versions
    self.fingerprints = fingerprints
    self.trainingSeconds = trainingSeconds
    verdicts = study.claims.compactMap { claim in
      guard let smaller = rows.first(where: { $0.name == claim.smaller }),
        let larger = rows.first(where: { $0.name == claim.larger })
      else { return nil }
      return StudyVerdict(claim, smaller: smaller.figures, larger: larger.figures)
    }
    // What sees the labels of the validation samples cannot be chosen by its errors on them.
    let eligible = rows.filter { !$0.isOracle }
    let tried = eligible.map { row in
      StudySelection.Candidate(
        settings: row.settings, errors: row.candidates.first?.errors ?? [],
        runs: row.candidates.first?.runs ?? 0)
    }
    let failed = rows.flatMap(\.failures)
    failure =
      rows.contains { !$0.figures.isEmpty }
      ? nil
      : failed.first.map { first in
        Failure(.diverged, "none of the \(failed.count) runs finished; the first is \(first)")
      }
    best = study.isSweep ? StudySelection.choose(tried).map { eligible[$0] } : nil
  }
}

extension StudyRunner {
  /// Reads what the runs came to. Every run must have ended.
  public func results() throws -> StudyResults {
    let selections = try selections()
    let runs = study.runs(selections)
    var rows: [StudyRow] = []
    for method in study.methods where !method.isHidden {
      let own = runs.filter { $0.method == method.name }
      let chosen = selections[method.name] ?? 0
      let candidates = try candidates(method, own)
      rows.append(
        try row(
          method, name: method.name, label: method.label, own.filter { $0.candidate == chosen }, candidates,
          chosen
        ) { try self.directory.figures(of: $0) })
      guard method.isEvaluatedConditionally else { continue }
      rows.append(
        try row(
          method, name: method.conditionalName, label: method.label + ", arg-max expert only",
          own.filter { $0.candidate == chosen }, candidates, chosen
        ) { try self.directory.conditionalFigures(of: $0) })
    }
    let total = try runs.reduce(0) { try $0 + (directory.record(of: $1.id)?.seconds ?? 0) }
    return StudyResults(
      study: study, rows: rows, command: host.command, versions: host.versions, fingerprints: fingerprints,
      trainingSeconds: total)
  }

  private func row(
    _ method: StudyMethod, name: String, label: String, _ runs: [StudyRun],
    _ candidates: [StudySelection.Candidate], _ chosen: Int, read: (String) throws -> StudyFigures?
  ) throws -> StudyRow {
    var figures: [Int: StudyFigures] = [:]
    var failures: [String] = []
    for run in runs {
      switch try state(of: run) {
      case .finished: figures[run.replicate] = try read(run.id)
      case .diverged(let reason), .blocked(let reason): failures.append("\(run.id): \(reason)")
      case .toDo: preconditionFailure("results are of runs that have ended")
      }
    }
    let published = study.published(name, method.candidates[chosen])
    let ours = Spread(figures.keys.sorted().compactMap { figures[$0]?[.error] })
    var isWithinTwo: Bool?
    if study.isComparable, let ours, let theirs = published?.means[.error], let deviation = theirs.deviation {
      isWithinTwo = abs(ours.mean - theirs.mean) <= 2 * deviation
    }
    let isOracle = try runs.contains { try $0.configuration(source: $0.source).gate.design.isOracle }
    return StudyRow(
      group: method.group, name: name, label: label, settings: method.candidates[chosen],
      sourceSettings: try sourceSettings(method),
      choices: method.candidates.count, figures: figures,
      validationError: Spread(candidates[chosen].errors), failures: failures, candidates: candidates,
      published: study.isComparable ? published : nil, isWithinTwo: isWithinTwo,
      isOracle: isOracle)
  }

  private func sourceSettings(_ method: StudyMethod) throws -> [StudySetting] {
    guard let source = method.source.flatMap({ study.method($0.method) }) else { return [] }
    return try sourceSettings(source) + source.candidates[selections()[source.name] ?? 0]
  }
}
