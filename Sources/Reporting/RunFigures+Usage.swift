internal import Records

extension RunFigures {
  /// The experts that are dead, with the words for it.
  static func warnings(_ shares: [Double]) -> [Int: String] {
    var found: [Int: String] = [:]
    guard shares.count > 1 else { return found }
    for expert in ExpertUse(shares: shares).dead {
      found[expert] = shares[expert] == 0 ? "never chosen" : "dead, \(fixed(100 * shares[expert], 2)) %"
    }
    return found
  }

  var usage: Figure? {
    usage(
      run.lines(run.curveSplit), over: "epoch", \.epoch, name: name("usage"),
      title: "Usage of the experts\(run.suffix(ofLayer: layer))")
  }

  /// The same from the batches of single steps, where they were logged: a collapse shows in its first steps.
  var stepUsage: Figure? {
    usage(
      run.lines("step"), over: "step", \.step, name: name("usage-by-step"),
      title: "Usage of the experts, batch by batch\(run.suffix(ofLayer: layer))")
  }

  /// Columns of a heat map over time.
  private static let mostColumns = 100

  private func usage(
    _ all: [MetricsRecord], over heading: String, _ place: (MetricsRecord) -> Int, name: String, title: String
  ) -> Figure? {
    let known = all.filter { $0.gate(ofLayer: layer).expertShare != nil }
    let lines = thinned(known, to: Self.mostColumns)
    let shares = lines.map { $0.gate(ofLayer: layer).expertShare ?? [] }
    guard let last = shares.last, last.count > 1 else { return nil }
    let set = heading == "step" ? "the batch" : "the \(run.curveSplit) set"
    let shown = ExpertClassMaps.shownExperts(last, columns: lines.count)
    let most = shares.joined().max() ?? 1
    let cells = shown.map { expert in
      zip(lines, shares).map { line, share in
        HeatMap.Cell(
          shade: share[expert] / max(most, 1e-9), label: fixed(100 * share[expert], 0),
          tip: "expert \(expert), \(heading) \(place(line)): \(percentText(share[expert]))")
      }
    }
    let bars = shown.map { last[$0] }
    let left =
      known.count > lines.count ? " Of \(countText(known.count)) \(heading)s \(lines.count) are shown." : ""
    let ends = last.enumerated().map { "expert \($0.offset) \(percentText($0.element))" }
    var map = HeatMap(
      rows: shown.map { "expert \($0)" }, columns: lines.map { String(place($0)) }, cells: cells, bars: bars,
      barHeading: "at the end", warnings: Self.warnings(bars), columnHeading: heading,
      scaleHeading: "of the samples", scaleEnds: ("0 %", percentText(most)),
      width: lines.count > 12 ? 1140 : 560)
    map.areColumnsPlaces = true
    return map.figure(
      name: name, title: title,
      caption: "Share of the samples of \(set) whose chosen expert (largest p) is each one; an even share is "
        + "\(percentText(1 / Double(last.count))).\(left)",
      alternative: "\(title) by \(heading); at the end: \(ends.joined(separator: ", ")).")
  }

  /// The loss of the batches, where steps were logged, with the other splits where their epochs ended.
  var stepLoss: Figure? {
    let steps = run.lines("step").compactMap { line in line.loss.map { (x: Double(line.step), y: $0) } }
    guard steps.count > 1 else { return nil }
    func ends(_ split: String) -> [(x: Double, y: Double)] {
      run.lines(split).compactMap { line in line.loss.map { (Double(line.step), $0) } }
    }
    let series = [
      LineChart.Series(name: "batch", points: steps, colour: Palette.code(0)),
      LineChart.Series(name: "validation", points: ends("validation"), colour: Palette.code(5)),
      LineChart.Series(name: "test", points: ends("test"), colour: Palette.code(6), isMark: true),
    ].filter { !$0.points.isEmpty }
    let words = series.map { "\($0.name) ends at \(fixed($0.points.last?.y ?? 0, 4))" }
    return LineChart(xHeading: "step", yHeading: "nats per sample", series: series).figure(
      name: "loss-by-step", title: "Loss by step",
      caption:
        "Batch: the mean over the batch of a logged step, while it is learned. Validation and test: the whole set.",
      alternative: "Loss over steps: \(words.joined(separator: ", ")).")
  }
}
