internal import Records

/// One image's way: the image, the gate's probabilities as bars, and who ran and said what.
struct SampleFigure {
  let run: RunRecord
  let sample: RecordedSample
  /// From 1.
  let number: Int

  /// Of so many experts all are drawn, of more those that matter most.
  private static let shown = 8
  private static let width = 420.0
  private static let rowHeight = 20.0

  private func name(_ number: Int) -> String {
    let names = run.classNames
    return names.indices.contains(number) ? names[number] : "class \(number)"
  }

  private func words(_ answers: [RecordedSample.Answer], _ count: Int) -> String {
    answers.prefix(count).map { "\(name($0.number)) \(Self.probability($0.probability))" }
      .joined(separator: ", ")
  }

  static func probability(_ value: Double) -> String {
    if value > 0, value < 0.005 { return "< 0.01" }
    return value < 1 && value >= 0.995 ? "> 0.99" : fixed(value, 2)
  }

  private var layer: RecordedSample.Layer { sample.layers[0] }

  /// The experts that are drawn, ascending: those that ran and are most probable.
  private var experts: [Int] {
    let all = layer.gate.indices
    guard all.count > Self.shown else { return Array(all) }
    return all.sorted {
      (layer.mixed.contains($0) ? 1 : 0, layer.gate[$0], -$0)
        > (layer.mixed.contains($1) ? 1 : 0, layer.gate[$1], -$1)
    }.prefix(Self.shown).sorted()
  }

  private func rank(of expert: Int) -> Int? {
    guard let placement = run.sessions.last?.placement, placement.indices.contains(expert) else {
      return nil
    }
    return placement[expert]
  }

  /// The ranks on which no expert ran, and no gate that works for all; nothing where ranks are not known.
  private var idleRanks: [Int] {
    guard let session = run.sessions.last, session.placement.count == layer.gate.count else { return [] }
    let busy = Set(sample.layers.flatMap { layer in layer.ran.map { session.placement[$0] } })
    let hasGateOnRoot = run.setting("gate-placement") != "replicated"
    return session.hosts.indices.filter { !busy.contains($0) && !(hasGateOnRoot && $0 == 0) }
  }

  private func said(_ expert: Int) -> String {
    guard layer.ran.contains(expert) else { return "did nothing" }
    guard sample.answers.indices.contains(expert), let answer = sample.answers[expert] else { return "ran" }
    return words(answer, 1) + (layer.mixed.contains(expert) ? "" : ", left out")
  }

  var figure: Figure {
    var canvas = SVGCanvas()
    var left = 0.0
    var bottom = 8.0
    if let image = sample.image {
      // Half steps, so that pixels look alike.
      let fitting = (72 / Double(image.width) * 2).rounded(.down) / 2
      let scale = fitting >= 1 ? fitting : 72 / Double(image.width)
      let shown = (width: Double(image.width) * scale, height: Double(image.height) * scale)
      canvas.picture(image.file, 0, 4, shown.width, shown.height, tip: name(sample.label))
      left = shown.width + 14
      bottom = shown.height + 8
    }
    let experts = experts
    let hasRanks = rank(of: 0) != nil
    let names = experts.map { expert in
      "expert \(expert)" + (hasRanks ? rank(of: expert).map { " · rank \($0)" } ?? "" : "")
    }
    let bars = left + 8 + (names.map { SVGCanvas.width(of: $0) }.max() ?? 0)
    let length = max(Self.width - bars - 38 - 112, 40)
    for (row, expert) in experts.enumerated() {
      let y = Double(row) * Self.rowHeight
      let hasRun = layer.ran.contains(expert)
      let p = min(layer.gate[expert], 1)
      canvas.text(names[row], left, y + 14, fill: hasRun ? Palette.ink : Palette.muted)
      canvas.rectangle(
        bars, y + 4, max(p * length, 1), 12, fill: hasRun ? Palette.code(expert) : Palette.axis,
        tip: "expert \(expert): p = \(fixed(layer.gate[expert], 4))")
      canvas.text(
        Self.probability(layer.gate[expert]), bars + p * length + 5, y + 14, size: 11, fill: Palette.muted)
      canvas.text(
        said(expert), Self.width, y + 14, size: 11, fill: hasRun ? Palette.ink : Palette.muted, anchor: .end)
    }
    var y = Double(experts.count) * Self.rowHeight
    let others = layer.gate.count - experts.count
    if others > 0 {
      canvas.text("and \(others) more, of less weight", left, y + 14, size: 11, fill: Palette.muted)
      y += Self.rowHeight
    }
    canvas.line(left, y + 4, Self.width, y + 4, stroke: Palette.grid)
    canvas.text(words(sample.top, 2), Self.width, y + 20, size: 11, anchor: .end, bold: true)
    canvas.text(sample.answers.isEmpty ? "model" : "mixture", left, y + 20, bold: true)
    bottom = max(bottom, y + 28)
    return Figure(
      name: "sample-\(number)", title: title, caption: caption, alternative: alternative,
      width: Self.width, height: bottom, canvas: canvas)
  }

  // MARK: Words

  private var title: String {
    let isRight = sample.label == sample.prediction
    let verdict = name(sample.label) + (isRight ? ", right" : ", taken for \(name(sample.prediction))")
    return "Test image \(sample.sample): \(verdict)"
  }

  private var caption: String {
    let choice = [
      "right": "One of the first that the model gets right.",
      "wrong": "One of the first that it gets wrong.",
      "undecided": "One of the two that the gate is least decided about.",
    ][sample.reason]
    let count = layer.gate.count
    var who = layer.ran.count == count ? "Every expert ran" : "\(layer.ran.count) of \(count) experts ran"
    if sample.layers.count > 1 { who += " in layer 1" }
    let ranks = idleRanks
    if !ranks.isEmpty {
      let list = ranks.map(String.init).joined(separator: ", ")
      who += ranks.count == 1 ? "; rank \(list) did nothing" : "; ranks \(list) did nothing"
    }
    let further =
      sample.layers.count > 1
      ? " The gates of layers 2 to \(sample.layers.count) are not drawn; moe-dist show has them." : ""
    return (choice.map { $0 + " " } ?? "") + who + "." + further
  }

  private var alternative: String {
    let gate = layer.gate.indices.map { expert in
      "Expert \(expert): p = \(fixed(layer.gate[expert], 4)), \(said(expert))."
    }
    return "\(title). \(gate.joined(separator: " ")) Together: \(words(sample.top, 3))."
  }
}
