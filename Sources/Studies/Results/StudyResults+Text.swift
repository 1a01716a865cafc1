internal import Records

extension StudyResults {
  /// Tables, verdicts and caveats as Markdown.
  public var markdown: String {
    var text = "# \(study.isQuick ? "QUICK: " : "")\(study.title)\n\n"
    if study.isQuick {
      text += "**QUICK: a small version to see that everything runs; no figure here is a result.**\n\n"
    }
    text +=
      "Test figures, mean ± standard deviation (n − 1) over \(study.seeds) seeds; loss: cross-entropy in nats; I(E;Y), H_s and "
      + "H_u in bits."
    if study.metrics.contains(.trainingLoss) {
      text += " Training loss: that of the last epoch, each batch before its step."
    }
    text += "\n\n"
    var groups: [String] = []
    for row in rows where !groups.contains(row.group) { groups.append(row.group) }
    for group in groups { text += section(group) }
    if let best { text += bestText(best) }
    let failed = rows.flatMap(\.failures)
    if !failed.isEmpty {
      text += "## Runs that did not finish\n\n" + failed.map { "- \(escaped($0))\n" }.joined() + "\n"
    }
    if !caveats.isEmpty {
      text += "## To be kept in mind\n\n" + caveats.map { "- \($0)\n" }.joined() + "\n"
    }
    return text + origin
  }

  /// What belongs under the tables.
  var caveats: [String] {
    let oracles =
      rows.contains(where: \.isOracle)
      ? [
        "What \"sees labels\" chooses its experts by the label of the sample, in the test, too: no figure of it is that of "
          + "a model in use\(study.isSweep ? ", and it is never the best setting" : "")."
      ] : []
    return oracles + study.caveats + (study.isComparable ? study.differences + study.publishedCaveats : [])
  }

  private func section(_ group: String) -> String {
    let own = rows.filter { $0.group == group }
    var text = "## \(group)\n\n" + table(own) + "\n"
    let chosen = own.filter { $0.choices > 1 && !$0.name.hasSuffix("-conditional") }
    if !chosen.isEmpty {
      text += "Settings were chosen by mean validation error over seeds, ties to the smaller value:\n\n"
      for row in chosen {
        let tried = row.candidates.map { candidate in
          let error = Spread(candidate.errors).map { fixed($0.mean, 4) } ?? "no run finished"
          return candidate.settings.map(\.words).joined(separator: " ") + ": \(error)"
        }
        text +=
          "- \(row.label): \(row.settings.map(\.words).joined(separator: " ")) of \(tried.joined(separator: "; "))\n"
      }
      text += "\n"
    }
    let judged = verdicts.filter { $0.claim.group == group }
    if !judged.isEmpty { text += verdictText(judged) }
    return text
  }

  private func table(_ rows: [StudyRow]) -> String {
    let metrics = study.metrics.filter { metric in rows.contains { $0.spread(metric) != nil } }
    let hasSelected = rows.contains { !($0.published?.selected.isEmpty ?? true) }
    let publishedMetrics = metrics.filter { metric in rows.contains { $0.published?.means[metric] != nil } }
    let hasSettings = !study.isSweep && rows.contains { !$0.settingText.isEmpty }
    var heading = ["method"] + (hasSettings ? ["setting"] : []) + ["n"]
    if study.isSweep { heading.append("validation error") }
    heading += metrics.map(\.heading)
    if study.isComparable {
      heading += publishedMetrics.map(\.publishedHeading)
      if hasSelected { heading.append("published selected: error / I / H_s / H_u") }
      heading.append("error within 2 published std")
    }
    var lines = [heading, heading.map { _ in "---" }]
    for row in rows {
      var cells = [row.title]
      if hasSettings { cells.append(row.settingText) }
      cells.append("\(row.figures.count)")
      if study.isSweep { cells.append(spreadText(row.validationError)) }
      cells += metrics.map { spreadText(row.spread($0)) }
      if study.isComparable {
        cells += publishedMetrics.map { spreadText(row.published?.means[$0], digits: 3) }
        if hasSelected { cells.append(selectedText(row.published?.selected ?? [:])) }
        cells.append(row.isWithinTwo.map { $0 ? "yes" : "no" } ?? "-")
      }
      lines.append(cells)
    }
    return lines.map { "| " + $0.map(escaped).joined(separator: " | ") + " |\n" }.joined()
  }

  private func verdictText(_ verdicts: [StudyVerdict]) -> String {
    var text =
      "Claims of the paper, by a t test over seeds, two-sided, 5 %\(study.isQuick ? " (QUICK)" : ""):\n\n"
    text +=
      "| claim | compared | difference | 95 % interval | p | test | Welch p | verdict |\n"
      + "|---|---|---|---|---|---|---|---|\n"
    for verdict in verdicts {
      let claim = verdict.claim
      let margin = claim.margin.map { ", at most \($0)" } ?? ""
      var cells = [claim.text, "\(claim.metric.heading): \(claim.smaller) − \(claim.larger)\(margin)"]
      if let found = verdict.comparison {
        cells += [
          fixed(found.difference, 4), "\(fixed(found.low, 4)) to \(fixed(found.high, 4))",
          Self.text(ofP: found.p), found.test.rawValue,
          verdict.welch.map { Self.text(ofP: $0.p) } ?? "-",
        ]
      } else {
        cells += ["-", "-", "-", "-", "-"]
      }
      text += "| " + (cells + [verdict.word.rawValue]).map(escaped).joined(separator: " | ") + " |\n"
    }
    return text
      + "\nThe first is claimed to be the smaller. p: of no difference; the verdict is that of the named test, Welch's takes the seeds as no pairs. Tie: the interval contains 0. With \"at most\", the claim is that the "
      + "difference is no more than that: it holds where the whole interval is below, and is a tie where the interval "
      + "contains the bound.\n\n"
  }

  private static func text(ofP p: Double) -> String { p < 1e-4 ? "< 0.0001" : fixed(p, 4) }

  private func bestText(_ row: StudyRow) -> String {
    "Best setting by validation error: **\(escaped(row.label))**, validation error "
      + "\(spreadText(row.validationError)), test error \(spreadText(row.spread(.error))).\n\n"
  }

  /// What made the figures.
  private var origin: String {
    var text = "## Origin\n\n- Command: `\(command.joined(separator: " "))`\n"
    text +=
      "- Versions: \(versions.keys.sorted().map { "\($0) \(versions[$0] ?? "")" }.joined(separator: "; "))\n"
    if !study.overrides.isEmpty {
      text += "- Settings given: \(study.overrides.map(\.words).joined(separator: ", "))\n"
    }
    text += "- Wall time of training, summed over runs: \(durationText(trainingSeconds))\n"
    for part in fingerprints.keys.sorted() { text += "- SHA-256 of \(part): \(fingerprints[part] ?? "")\n" }
    return text
  }

  private func spreadText(_ spread: Spread?, digits: Int = 4) -> String {
    guard let spread else { return "-" }
    return fixed(spread.mean, digits) + (spread.deviation.map { " ± " + fixed($0, digits) } ?? "")
  }

  private func selectedText(_ figures: StudyFigures) -> String {
    guard !figures.isEmpty else { return "-" }
    let metrics: [StudyMetric] = [.error, .mutualInformation, .sampleEntropy, .usageEntropy]
    return metrics.map { figures[$0].map { fixed($0, 3) } ?? "-" }.joined(separator: " / ")
  }

  /// A text that ends no cell of a table.
  private func escaped(_ text: String) -> String {
    text.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
  }
}
