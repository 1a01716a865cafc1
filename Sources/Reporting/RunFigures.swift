internal import Glibc
internal import Records

// E experts, C classes. Entropies and mutual informations are in bits, losses in nats.

/// The figures of one run that are not about its classes: curves, usage, work and time.
struct RunFigures {
  let run: RunRecord
  /// The layer, from 0, that the figures about a gate are of.
  var layer = 0

  // MARK: - Curves

  private func points(_ split: String, _ value: (MetricsRecord) -> Double?) -> [(x: Double, y: Double)] {
    run.lines(split).compactMap { line in value(line).map { (Double(line.epoch), $0) } }
  }

  private func series(
    _ name: String, _ split: String, colour: Int, dash: String? = nil, _ value: (MetricsRecord) -> Double?
  ) -> LineChart.Series {
    LineChart.Series(
      name: name, points: points(split, value), colour: Palette.code(colour), dash: dash,
      isMark: split == "test")
  }

  private func gate(_ value: @escaping (GateFigures) -> Double?) -> (MetricsRecord) -> Double? {
    { value($0.gate(ofLayer: layer)) }
  }

  func name(_ name: String) -> String { name + run.suffix(ofLayer: layer, "-layer-") }

  private func splits(_ value: (MetricsRecord) -> Double?) -> [LineChart.Series] {
    [
      series("train", "train", colour: 0, value), series("validation", "validation", colour: 5, value),
      series("test", "test", colour: 6, value),
    ]
  }

  private func chart(
    _ series: [LineChart.Series], bounds: [LineChart.Bound] = [], name: String, title: String, unit: String,
    caption: String
  ) -> Figure? {
    let shown = series.filter { !$0.points.isEmpty }
    guard !shown.isEmpty else { return nil }
    let ends = shown.map { "\($0.name) ends at \(fixed($0.points.last?.y ?? 0, 4))" }
    let limits = bounds.map { ", bound \($0.name)" }.joined()
    return LineChart(yHeading: unit, series: shown, bounds: bounds).figure(
      name: name, title: title, caption: caption,
      alternative: "\(title) over epochs: \(ends.joined(separator: ", "))\(limits).")
  }

  var loss: Figure? {
    chart(
      splits(\.loss), name: "loss", title: "Loss", unit: "nats per sample",
      caption: "Train: the mean over the epoch while it is learned; validation and test: after it.")
  }

  var error: Figure? {
    chart(
      splits(\.error), name: "error", title: "Error", unit: "share of samples with the wrong class",
      caption: "The test set is used once, at the end of the run.")
  }

  private var expertsBound: LineChart.Bound {
    let most = log2(Double(run.experts))
    return .init(name: "log₂ \(run.experts) = \(fixed(most, 2))", value: most)
  }

  /// The most that I(E;Y) can be: min(log2 E, log2 C); nil where C is not known.
  var informationBound: Double? {
    guard run.experts > 0, run.classes > 0 else { return nil }
    return min(log2(Double(run.experts)), log2(Double(run.classes)))
  }

  var mutualInformation: Figure? {
    guard run.experts > 0 else { return nil }
    let split = run.curveSplit
    let bounds = informationBound.map {
      [LineChart.Bound(name: "at most \(fixed($0, 2)) = min(log₂ E, log₂ C)", value: $0)]
    }
    return chart(
      [
        series("expert's class", split, colour: 0, gate(\.mutualInformation)),
        series("true class", split, colour: 5, dash: "6 3", gate(\.mutualInformationTrue)),
        series("test", "test", colour: 0, gate(\.mutualInformation)),
        series("test, true", "test", colour: 5, gate(\.mutualInformationTrue)),
      ], bounds: bounds ?? [], name: name("mutual-information"),
      title: "Mutual information I(E;Y)\(run.suffix(ofLayer: layer))", unit: "bits",
      caption:
        "Between the chosen expert and a class, \(split) set: the chosen expert's own class, as the paper defines it, and the true class."
    )
  }

  var entropy: Figure? {
    guard run.experts > 0 else { return nil }
    let split = run.curveSplit
    return chart(
      [
        series("usage H_u", split, colour: 0, gate(\.usageEntropy)),
        series("per class", split, colour: 2, dash: "6 3", gate(\.taskEntropy)),
        series("sample H_s", split, colour: 5, gate(\.sampleEntropy)),
      ], bounds: [expertsBound], name: name("entropy"),
      title: "Entropy of the gate\(run.suffix(ofLayer: layer))",
      unit: "bits",
      caption:
        "\(split == "train" ? "Training" : "Validation") set. H_u high: experts are used evenly. H_s low: the gate is decided about a sample. Per class low: a class goes to few experts."
    )
  }

  // MARK: - Work and time

  var computation: Figure? {
    guard let account = run.summary?.account, account.experts.count > 1 else { return nil }
    let shown = ExpertClassMaps.shownExperts(account.experts.map { Double($0.rowsComputed) }, columns: 100)
    let bars = shown.map { index in
      let expert = account.experts[index]
      return BarChart.Bar(
        name: "expert \(expert.name), rank \(expert.owner)", value: Double(expert.rowsComputed),
        full: Double(account.rows),
        label: account.rows > 0
          ? "\(withPrefix(Double(expert.rowsComputed))) rows, \(percentText(Double(expert.rowsComputed) / Double(account.rows)))"
          : "no rows")
    }
    return BarChart(bars: bars).figure(
      name: "computation", title: "Rows that the experts ran on",
      caption: "The outline is every row of the training batches, as if the expert had run densely.",
      alternative: "Rows computed per expert of \(account.rows): "
        + account.experts.map { "expert \($0.name) \($0.rowsComputed)" }.joined(separator: ", ") + ".")
  }

  package var flops: Figure? {
    guard let account = run.summary?.account, account.experts.count > 1, account.denseExpertFlops > 0 else {
      return nil
    }
    let gate = Double(account.sharedFlops)
    let pairs: [(String, Double, Double)] = [
      ("experts", Double(account.expertFlops), Double(account.denseExpertFlops)),
      ("whole step, with gate", gate + Double(account.expertFlops), gate + Double(account.denseExpertFlops)),
    ]
    let bars = pairs.map { name, done, dense in
      BarChart.Bar(
        name: name, value: done, full: dense,
        label: "\(withPrefix(done)) of \(withPrefix(dense)), \(percentText(done / dense))")
    }
    return BarChart(bars: bars).figure(
      name: "flops", title: "FLOPs against dense experts",
      caption: "The outline is what every expert on every row would have cost; 2 FLOPs per multiply-add.",
      alternative: bars.map { "\($0.name): \($0.label)" }.joined(separator: "; ") + ".")
  }

  var time: Figure? {
    guard let timing = run.summary?.timing, !timing.phases.isEmpty else { return nil }
    let bars = timing.phases.map { phase in
      BarChart.Bar(
        name: phase.name, value: phase.mean,
        range: timing.ranks.count > 1 ? (low: phase.minimum, high: phase.maximum) : nil,
        label: "\(fixed(phase.mean, 2)) s, \(percentText(phase.share))")
    }
    let whisker = timing.ranks.count > 1 ? " The whisker goes from the fastest rank to the slowest." : ""
    return BarChart(bars: bars).figure(
      name: "time", title: "Seconds by phase",
      caption: "Mean over ranks, and share of all ranks' time.\(whisker)",
      alternative: bars.map { "\($0.name) \($0.label)" }.joined(separator: "; ") + ".")
  }
}
