internal import Glibc
internal import Records

/// What a report says about one run.
struct RunSection {
  let run: RunRecord
  /// From 1; makes the names of its figures unique in a page.
  let number: Int
  /// Whether the page has to be small, as that of many runs.
  var isBrief = false

  var id: String { "r\(number)" }

  var html: String {
    let figures = RunFigures(run: run)
    var text = tiles
    text += "<ul class=\"findings\">\n"
    for sentence in RunFindings(run: run).sentences {
      text += Markup.element("li", [:], Markup.escaped(sentence)) + "\n"
    }
    text += "</ul>\n"
    if !isBrief, let wall = ExpertImages(run)?.figure {
      text += section("What every expert sees", "Test images, by the expert that the gate prefers for them.")
      text += grid([wall])
    }
    if !isBrief { text += samples }
    for layer in 0..<run.layers {
      guard let maps = ExpertClassMaps(run, layer: layer) else { continue }
      text += section("Which expert takes which classes\(run.suffix(ofLayer: layer))", tableNote)
      text += grid((isBrief ? [] : maps.figures) + [maps.accuracy].compactMap { $0 }) + experts(maps)
    }
    if let confusion = ConfusionMatrix(run) {
      text += section(
        "Which classes are taken for which", confusion.sentence ?? "No sample is taken for another class.")
      text += grid([confusion.figure].compactMap { $0 }) + confusion.frequentTable
    }
    let gate = (0..<run.layers).flatMap { layer in
      let figures = RunFigures(run: run, layer: layer)
      return [figures.usage, figures.mutualInformation, figures.entropy, figures.stepUsage].compactMap { $0 }
    }
    if !gate.isEmpty { text += section("How the gate divides the work") + grid(gate) }
    let learning = [figures.loss, figures.error, figures.stepLoss].compactMap { $0 }
    if !learning.isEmpty { text += section("Learning") + grid(learning) + splits }
    text += work(figures) + time(figures) + repetition
    return text
  }

  /// Every figure of the run, for files.
  static func figures(of run: RunRecord) -> [Figure] {
    let figures = RunFigures(run: run)
    let ofGates = (0..<run.layers).flatMap { layer in
      let figures = RunFigures(run: run, layer: layer)
      let maps = ExpertClassMaps(run, layer: layer)
      return (maps?.figures ?? [])
        + [maps?.accuracy, figures.usage, figures.stepUsage, figures.mutualInformation, figures.entropy]
        .compactMap { $0 }
    }
    return [ExpertImages(run)?.figure].compactMap { $0 } + sampleFigures(of: run)
      + [ConfusionMatrix(run)?.figure].compactMap { $0 } + ofGates
      + [figures.loss, figures.error, figures.stepLoss, figures.computation, figures.flops].compactMap { $0 }
      + (RankMatrix(run.summary?.account)?.figures ?? []) + [figures.time].compactMap { $0 }
  }

  func grid(_ figures: [Figure]) -> String { ReportPage.grid(figures, id: id, isBrief: isBrief) }

  func section(_ title: String, _ note: String = "") -> String {
    Markup.element("h3", [:], Markup.escaped(title)) + "\n"
      + (note.isEmpty ? "" : Markup.element("p", ["class": "lead"], Markup.escaped(note)) + "\n")
  }

  // MARK: - At the top

  private var tiles: String {
    guard let final = run.final else { return "" }
    var text = "<ul class=\"tiles\">\n"
    func tile(_ name: String, _ value: String, _ of: String, isWarned: Bool = false) {
      text += "<li\(isWarned ? " class=\"warned\"" : "")>"
      for (kind, words) in [("name", name), ("value", value), ("of", of)] {
        text += Markup.element("span", ["class": kind], Markup.escaped(words))
      }
      text += "</li>\n"
    }
    if let error = final.error { tile("\(final.split) error", fixed(error, 4), "share of samples") }
    let suffix = run.suffix(ofLayer: 0)
    if let value = final.mutualInformation {
      let bound = RunFigures(run: run).informationBound.map { "of at most \(fixed($0, 2)) bits" } ?? "bits"
      tile("I(E;Y)\(suffix)", fixed(value, 2), bound)
    }
    let experts = run.experts
    if let value = final.usageEntropy, experts > 0 {
      tile(
        "usage entropy H_u\(suffix)", fixed(value, 2), "of at most \(fixed(log2(Double(experts)), 2)) bits")
    }
    if let value = final.sampleEntropy { tile("sample entropy H_s\(suffix)", fixed(value, 3), "bits") }
    if let dead = final.deadExperts {
      tile("dead experts\(suffix)", String(dead), "of \(experts)", isWarned: dead > 0)
    }
    return text + "</ul>\n"
  }

  // MARK: - Tables

  private var tableNote: String {
    guard let line = run.evaluation else { return "" }
    let samples = run.hardTables.first.map { $0.joined().reduce(0, +) } ?? 0
    return "From the \(line.split) set, \(countText(samples)) samples, after epoch \(line.epoch)."
  }

  private func experts(_ maps: ExpertClassMaps) -> String {
    var table = HTMLTable(
      caption:
        "Every expert\(run.suffix(ofLayer: maps.layer, " of layer ")), and the classes of which it takes more samples than any other",
      heading: [
        "expert", "rank", "samples", "share", "mean p", "right", "classes, with the share that it takes",
      ])
    table.wordColumns = [0, 6]
    let names = run.classNames
    let shares = run.shares(ofLayer: maps.layer) ?? []
    let softSum = max(maps.soft.map { $0.joined().reduce(0, +) } ?? 0, 1e-12)
    let order = maps.order
    let warnings = RunFigures.warnings(shares)
    for expert in ExpertClassMaps.shownExperts(shares, columns: maps.samples.count) {
      let own = order.filter { maps.dominating[$0] == expert }
      let words = own.map { "\(names[$0]) \(fixed(100 * maps.dominatingShare($0), 0)) %" }
      let isDead = warnings[expert].map { " (\($0))" } ?? ""
      table.rows.append([
        "expert \(expert)\(isDead)", rank(of: expert), countText(maps.hard[expert].reduce(0, +)),
        percentText(shares.indices.contains(expert) ? shares[expert] : 0),
        maps.soft.map { fixed($0[expert].reduce(0, +) / softSum, 4) } ?? "–",
        maps.accuracy(of: expert).map(percentText) ?? "–",
        words.isEmpty ? "none" : words.joined(separator: ", "),
      ])
    }
    return table.html
  }

  private func rank(of expert: Int) -> String {
    guard let placement = run.sessions.last?.placement, placement.indices.contains(expert) else { return "–" }
    return String(placement[expert])
  }

  private var splits: String {
    let lines = ["train", "validation", "test"].compactMap { run.lines($0).last }
    let losses = [NamedFigure].names(of: lines.map(\.routingLosses))
    var table = HTMLTable(
      caption: "The newest figures of every split; losses in nats, entropies and information in bits",
      heading: ["split", "epoch", "error", "top-5 error", "loss", "cross-entropy"]
        + losses.map { MetricsRecord.words(ofLoss: $0) }
        + ["layer", "I(E;Y)", "I, true class", "H_s", "H_u", "per class", "samples/s"])
    func figure(_ value: Double?, _ digits: Int) -> String { value.map { fixed($0, digits) } ?? "–" }
    func ofGate(_ line: MetricsRecord, _ layer: Int) -> [String] {
      let gate = line.gate(ofLayer: layer)
      return [
        run.layers > 1 ? String(layer + 1) : "–", figure(gate.mutualInformation, 3),
        figure(gate.mutualInformationTrue, 3), figure(gate.sampleEntropy, 3), figure(gate.usageEntropy, 3),
        figure(gate.taskEntropy, 3),
      ]
    }
    for line in lines {
      table.rows.append(
        [
          line.split, String(line.epoch), figure(line.error, 4), figure(line.topFiveError, 4),
          figure(line.loss, 4), figure(line.crossEntropy, 4),
        ] + losses.map { figure(line.routingLosses[$0], 4) } + ofGate(line, 0) + [
          line.samplesPerSecond.map { countText(Int(min(max($0, 0), 1e15))) } ?? "–"
        ])
      for layer in line.layers.indices.dropFirst() {
        let ofModel = [line.split, String(line.epoch)] + Array(repeating: "–", count: 4 + losses.count)
        table.rows.append(ofModel + ofGate(line, layer) + ["–"])
      }
    }
    // A column without a figure says nothing.
    let used = table.heading.indices.filter { column in
      column == 0 || table.rows.contains { $0[column] != "–" }
    }
    table.heading = used.map { table.heading[$0] }
    table.rows = table.rows.map { row in used.map { row[$0] } }
    return table.rows.isEmpty ? "" : table.html
  }
}
