internal import Records

/// Several runs side by side.
struct Comparison {
  let runs: [RunRecord]
  let labels: [String]
  /// Whether the page has to be small.
  var isBrief = false

  var html: String {
    var text = table
    text += Markup.element("h3", [:], "Which expert takes which classes") + "\n"
    let maps = self.maps
    text +=
      maps.isEmpty
      ? "<p>No run has a table of experts and classes.</p>\n"
      : ReportPage.grid(maps, id: "all", isBrief: isBrief)
    let curves = self.curves
    if !curves.isEmpty {
      text +=
        Markup.element("h3", [:], "Curves") + "\n" + ReportPage.grid(curves, id: "all", isBrief: isBrief)
    }
    return text
  }

  /// Every figure that compares, for files.
  var figures: [Figure] { curves }

  private var table: String {
    var table = HTMLTable(
      caption:
        "The newest figures: of the test set where there are any, else of the split that is named. Information and entropies in bits.",
      heading: [
        "run", "method", "data set", "experts", "seed", "state", "epochs", "split", "error", "cross-entropy",
        "I(E;Y)",
        "I, true class", "H_s", "H_u", "dead", "samples/s",
      ], wordColumns: [0, 1, 2, 5, 7])
    func figure(_ value: Double?, _ digits: Int) -> String { value.map { fixed($0, digits) } ?? "–" }
    for (run, label) in zip(runs, labels) {
      let final = run.final
      let rate = run.summary?.timing.map { countText(Int(min($0.samplesPerSecond, 1e15))) }
      table.rows.append([
        label, run.method, run.setting("dataset") ?? "–", run.experts > 0 ? String(run.experts) : "–",
        run.setting("seed") ?? "–", run.status?.state.rawValue ?? "not known",
        String(run.status?.epoch ?? run.lines.last?.epoch ?? 0), final?.split ?? "–", figure(final?.error, 4),
        figure(final?.crossEntropy, 4), figure(final?.mutualInformation, 3),
        figure(final?.mutualInformationTrue, 3), figure(final?.sampleEntropy, 3),
        figure(final?.usageEntropy, 3), final?.deadExperts.map { String($0) } ?? "–", rate ?? "–",
      ])
    }
    return table.html
  }

  private var maps: [Figure] {
    zip(runs, labels).enumerated().compactMap { index, pair in
      ExpertClassMaps(pair.0)?.comparable(
        title: "\(pair.1): \(pair.0.method)\(pair.0.suffix(ofLayer: 0))", name: "run-\(index + 1)",
        isBrief: isBrief)
    }
  }

  private var curves: [Figure] {
    let shown: [(String, String, String, (MetricsRecord) -> Double?)] = [
      ("error", "Error", "share of samples with the wrong class", \.error),
      ("loss", "Loss", "nats per sample", \.loss),
      ("mutual-information", "Mutual information I(E;Y)", "bits", \.mutualInformation),
      ("usage-entropy", "Usage entropy H_u", "bits", \.usageEntropy),
      ("sample-entropy", "Sample entropy H_s", "bits", \.sampleEntropy),
    ]
    return shown.compactMap { name, title, unit, value in
      let series = zip(runs, labels).enumerated().map { index, pair in
        let run = pair.0
        // Beyond the palette, a dash tells runs of the same colour apart.
        let round = index / Palette.colours.count
        return LineChart.Series(
          name: pair.1.count <= 18 ? pair.1 : "…" + pair.1.suffix(17),
          points: run.lines(run.curveSplit).compactMap { line in value(line).map { (Double(line.epoch), $0) }
          },
          colour: Palette.code(index), dash: round == 0 ? nil : "\(2 + 4 * round) 3")
      }.filter { !$0.points.isEmpty }
      guard !series.isEmpty else { return nil }
      let ends = series.map { "\($0.name) ends at \(fixed($0.points.last?.y ?? 0, 4))" }
      var chart = LineChart(yHeading: unit, series: series)
      chart.height = max(300, 60 + 16 * Double(series.count))
      return chart.figure(
        name: "comparison-\(name)", title: title,
        caption: "Validation set; the training set for a run without one.",
        alternative: "\(title) over epochs: \(ends.joined(separator: ", ")).")
    }
  }
}
