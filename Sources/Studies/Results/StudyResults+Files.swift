public import Files
internal import Glibc

extension StudyResults {
  /// Writes `results.md`, `results.csv` and `results.json`.
  ///
  /// - Throws: ``Failure`` when a file cannot be written.
  public func write(to directory: StudyDirectory) throws(Failure) {
    // Two jobs that end together write one after the other.
    var claim: StudyRunClaim?
    while claim == nil {
      claim = try directory.claim("results")
      if claim == nil { usleep(10_000) }
    }
    defer { withExtendedLifetime(claim) {} }
    try SafeFile.replace(directory.file("results.md"), markdown)
    try SafeFile.replace(directory.file("results.csv"), csv)
    try SafeFile.replace(directory.file("results.json"), json.text(pretty: true) + "\n")
  }

  /// A line per row of the tables; the same bytes however many ranks ran the study.
  package var csv: String {
    var heading = ["label", "group", "method", "setting", "runs", "failed", "validation_error_mean"]
    for metric in study.metrics {
      heading += ["mean", "std", "published_mean", "published_std", "published_selected"].map {
        "\(metric.rawValue)_\($0)"
      }
    }
    heading.append("within_two_published_std")
    var text = heading.joined(separator: ",") + "\n"
    for row in rows {
      var cells = [
        marks(row), row.group, row.name, row.settingText,
        "\(row.figures.count)", "\(row.failures.count)", number(row.validationError?.mean),
      ]
      for metric in study.metrics {
        let ours = row.spread(metric)
        let theirs = row.published?.means[metric]
        cells += [
          number(ours?.mean), number(ours?.deviation), number(theirs?.mean), number(theirs?.deviation),
          number(row.published?.selected[metric]),
        ]
      }
      cells.append(row.isWithinTwo.map { $0 ? "yes" : "no" } ?? "")
      text += cells.map(quoted).joined(separator: ",") + "\n"
    }
    return text
  }

  /// What keeps its figures from being results.
  private func marks(_ row: StudyRow) -> String {
    [study.isQuick ? "QUICK" : nil, row.isOracle ? "sees labels" : nil].compactMap { $0 }.joined(
      separator: "; ")
  }

  private func number(_ value: Double?) -> String { value.map { "\($0)" } ?? "" }

  /// RFC 4180.
  private func quoted(_ cell: String) -> String {
    guard cell.contains(where: { ",\"\n\r".contains($0) }) else { return cell }
    return "\"" + cell.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
      + "\""
  }

  /// Everything, also the figures of every seed.
  public var json: JSONValue {
    [
      "study": .string(study.name), "quick": .bool(study.isQuick), "seeds": .integer(study.seeds),
      "command": .array(command.map { .string($0) }), "versions": JSONValue(versions),
      "settings_given": .array(study.overrides.map { .string($0.words) }),
      "data_fingerprints": JSONValue(fingerprints), "training_seconds": .number(trainingSeconds),
      "rows": .array(rows.map(rowJSON)), "verdicts": .array(verdicts.map(verdictJSON)),
      "best": JSONValue(best?.name), "caveats": .array(caveats.map { .string($0) }),
    ]
  }

  private func rowJSON(_ row: StudyRow) -> JSONValue {
    [
      "group": .string(row.group), "method": .string(row.name), "label": .string(row.label),
      "oracle": .bool(row.isOracle),
      "settings": settingsJSON(row.settings),
      "seeds": .array(
        row.figures.keys.sorted().map { seed in
          guard case .object(let members) = figuresJSON(row.figures[seed] ?? [:]) else { return .null }
          return .object([.init(key: "seed", value: .integer(seed))] + members)
        }),
      "mean": spreadsJSON { row.spread($0)?.mean }, "std": spreadsJSON { row.spread($0)?.deviation },
      "validation_error": JSONValue(row.validationError?.mean),
      "tried": .array(
        row.candidates.map {
          [
            "settings": settingsJSON($0.settings), "validation_errors": .array($0.errors.map { .number($0) }),
            "runs": .integer($0.runs),
          ]
        }),
      "failed": .array(row.failures.map { .string($0) }),
      "published_mean": spreadsJSON { row.published?.means[$0]?.mean },
      "published_std": spreadsJSON { row.published?.means[$0]?.deviation },
      "published_selected": figuresJSON(row.published?.selected ?? [:]),
      "within_two_published_std": row.isWithinTwo.map { .bool($0) } ?? .null,
    ]
  }

  private func verdictJSON(_ verdict: StudyVerdict) -> JSONValue {
    [
      "group": .string(verdict.claim.group), "claim": .string(verdict.claim.text),
      "metric": .string(verdict.claim.metric.rawValue), "smaller": .string(verdict.claim.smaller),
      "larger": .string(verdict.claim.larger), "margin": JSONValue(verdict.claim.margin),
      "verdict": .string(verdict.word.rawValue), "test": JSONValue(verdict.comparison?.test.rawValue),
      "difference": JSONValue(verdict.comparison?.difference), "low": JSONValue(verdict.comparison?.low),
      "high": JSONValue(verdict.comparison?.high), "p": JSONValue(verdict.comparison?.p),
      "degrees_of_freedom": JSONValue(verdict.comparison?.degreesOfFreedom),
      "welch_p": JSONValue(verdict.welch?.p),
      "welch_degrees_of_freedom": JSONValue(verdict.welch?.degreesOfFreedom),
    ]
  }

  private func settingsJSON(_ settings: [StudySetting]) -> JSONValue {
    .object(settings.map { .init(key: $0.key, value: .string($0.text)) })
  }

  private func spreadsJSON(_ value: (StudyMetric) -> Double?) -> JSONValue {
    .object(StudyMetric.allCases.map { .init(key: $0.rawValue, value: JSONValue(value($0))) })
  }

  private func figuresJSON(_ figures: StudyFigures) -> JSONValue {
    .object(
      StudyMetric.allCases.compactMap { metric in
        figures[metric].map { .init(key: metric.rawValue, value: .number($0)) }
      })
  }
}
