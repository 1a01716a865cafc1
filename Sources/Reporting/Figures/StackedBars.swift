internal import Records

/// A bar per epoch or step, cut into the experts' shares, labelled at its right end.
struct StackedBars {
  /// [bars][experts], each from 0 to 1.
  var shares: [[Double]]
  /// The epoch or step of every bar.
  var places: [Int]
  var names: [String]
  /// Experts whose label is a warning, and the words behind their name.
  var warnings: [Int: String] = [:]
  var xHeading = "epoch"
  var yHeading: String
  var width = 560.0
  package var height = 300.0

  private let top = 30.0
  private let left = 66.0
  private var right: Double { 40 + labels.map { SVGCanvas.width(of: $0) }.reduce(0, max) }
  private var bottom: Double { height - 44 }

  private var labels: [String] {
    names.enumerated().map { expert, name in
      name + " " + (warnings[expert] ?? percentText(shares.last?[expert] ?? 0))
    }
  }

  /// Left edge and width of a bar.
  func bar(_ index: Int) -> (x: Double, width: Double) {
    let pitch = min(60, (width - left - right) / Double(max(shares.count, 1)))
    let gap = pitch >= 6 ? min(6, 0.2 * pitch) : 0
    return (left + Double(index) * pitch + gap / 2, pitch - gap)
  }

  func figure(name: String, title: String, caption: String, alternative: String) -> Figure {
    var canvas = SVGCanvas()
    canvas.text(yHeading, 8, 14, fill: Palette.muted)
    let y = Axis(low: 0, high: 1, start: bottom, end: top)
    for step in 0...4 {
      let share = Double(step) / 4
      canvas.line(left, y.position(share), end, y.position(share), stroke: Palette.grid)
      canvas.text(
        fixed(100 * share, 0) + " %", left - 8, y.position(share) + 4, size: 11, fill: Palette.muted,
        anchor: .end)
    }
    let last = draw(on: &canvas, y)
    canvas.line(left, bottom, end, bottom, stroke: Palette.axis)
    canvas.text(xHeading, (left + end) / 2, height - 8, fill: Palette.muted, anchor: .middle)
    for (expert, place) in spread(last, distance: 16, from: top, to: bottom).enumerated() {
      let isWarned = warnings[expert] != nil
      canvas.rectangle(end + 10, place - 6, 11, 11, fill: Palette.code(expert))
      canvas.text(
        labels[expert], end + 27, place + 4, fill: isWarned ? Palette.warning : Palette.ink, bold: isWarned)
    }
    return Figure(
      name: name, title: title, caption: caption, alternative: alternative, width: width, height: height,
      canvas: canvas)
  }

  private var end: Double {
    let (x, width) = bar(max(shares.count - 1, 0))
    return x + width + 4
  }

  /// Draws the bars from the top down in the order of the experts; returns the middles of the last bar's parts.
  private func draw(on canvas: inout SVGCanvas, _ y: Axis) -> [Double] {
    var middles = names.map { _ in top }
    let labelEvery = max(1, (shares.count + 11) / 12)
    for (index, parts) in shares.enumerated() {
      let (x, width) = bar(index)
      var above = 1.0
      for (expert, share) in parts.enumerated() {
        let (upper, lower) = (y.position(above), y.position(above - share))
        above -= share
        middles[expert] = (upper + lower) / 2
        guard share > 0 else { continue }
        canvas.rectangle(
          x, upper, width, max(0, lower - upper - (lower - upper > 3 ? 1 : 0)), fill: Palette.code(expert),
          tip: "\(names[expert]), \(xHeading) \(places[index]): \(percentText(share))")
      }
      if index.isMultiple(of: labelEvery) {
        canvas.text(
          String(places[index]), x + width / 2, bottom + 17, size: 11, fill: Palette.muted, anchor: .middle)
      }
    }
    return middles
  }
}
