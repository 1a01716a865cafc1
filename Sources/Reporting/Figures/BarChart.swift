/// Level bars, one below the other, each with the length that it could have had and with its figure in words.
struct BarChart {
  struct Bar {
    var name: String
    var value: Double
    /// What it is compared with, drawn as an outline; nil for none.
    var full: Double?
    /// The range of the value over ranks, drawn as a whisker.
    var range: (low: Double, high: Double)?
    var label: String
    var colour = Palette.code(0)
  }

  var bars: [Bar]
  var width = 560.0

  private let top = 8.0
  private let barHeight = 26.0
  private var left: Double { 14 + (bars.map { SVGCanvas.width(of: $0.name) }.max() ?? 0) }
  private var right: Double { 16 + (bars.map { SVGCanvas.width(of: $0.label) }.max() ?? 0) }

  /// The level axis: from 0 to the longest bar or outline.
  func axis() -> Axis {
    let longest = bars.map { max($0.value, $0.full ?? 0, $0.range?.high ?? 0) }.max() ?? 0
    return Axis(low: 0, high: longest > 0 ? longest : 1, start: left, end: max(left + 60, width - right))
  }

  func figure(name: String, title: String, caption: String, alternative: String) -> Figure {
    var canvas = SVGCanvas()
    let x = axis()
    for (index, bar) in bars.enumerated() {
      let y = top + Double(index) * barHeight
      let end = x.position(max(bar.value, bar.full ?? 0, bar.range?.high ?? 0))
      canvas.text(bar.name, left - 8, y + 16, anchor: .end)
      if let full = bar.full {
        canvas.rectangle(
          left, y + 4, x.position(full) - left, barHeight - 9, fill: "#f3f4f6", stroke: Palette.axis)
      }
      canvas.rectangle(left, y + 4, x.position(bar.value) - left, barHeight - 9, fill: bar.colour)
      if let range = bar.range, range.high > range.low {
        let (from, to, middle) = (x.position(range.low), x.position(range.high), y + barHeight / 2 - 0.5)
        canvas.line(from, middle, to, middle, stroke: Palette.ink, width: 1.5)
        for end in [from, to] {
          canvas.line(end, middle - 4, end, middle + 4, stroke: Palette.ink, width: 1.5)
        }
      }
      canvas.text(bar.label, end + 8, y + 16)
    }
    canvas.line(left, top, left, top + Double(bars.count) * barHeight, stroke: Palette.axis)
    return Figure(
      name: name, title: title, caption: caption, alternative: alternative, width: width,
      height: top + Double(bars.count) * barHeight + 8, canvas: canvas)
  }
}
