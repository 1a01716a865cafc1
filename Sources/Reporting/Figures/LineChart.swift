internal import Records

/// Lines over epochs, labelled at their right ends.
struct LineChart {
  struct Series {
    var name: String
    var points: [(x: Double, y: Double)]
    var colour: String
    var dash: String?
    /// A single figure beside the lines, such as that of the test set: drawn as a diamond.
    var isMark = false
  }

  /// A value that no point can pass.
  struct Bound: Equatable {
    var name: String
    var value: Double
  }

  var xHeading = "epoch"
  var yHeading: String
  var series: [Series]
  var bounds: [Bound] = []
  /// Digits of the values at the ends of the lines.
  var digits = 3
  var width = 560.0
  package var height = 300.0

  /// More points than this are thinned out evenly; the last one always stays.
  static let mostPoints = 400

  private let top = 30.0
  private let left = 58.0

  private var drawn: [Series] {
    series.filter { !$0.points.isEmpty }.map {
      var thin = $0
      thin.points = thinned($0.points, to: Self.mostPoints)
      return thin
    }
  }

  private func endText(_ series: Series) -> String {
    let value = series.points.last?.y ?? 0
    return series.name + " "
      + (value.magnitude >= 1e6 ? scientificText(value) : fixed(value, digits))
  }

  /// The axes of the plot, the vertical one from bottom to top.
  func axes() -> (x: Axis, y: Axis) {
    let lines = drawn
    let right = min(230, 33 + (lines.map { SVGCanvas.width(of: endText($0)) }.max() ?? 0))
    let values = lines.flatMap { $0.points.map(\.y) }.filter(\.isFinite) + bounds.map(\.value)
    let (low, high) = Axis.range(of: values)
    let xs = lines.flatMap { $0.points.map(\.x) }
    let first = xs.min() ?? 0
    let last = max(xs.max() ?? 1, first + 1)
    return (
      Axis(low: first, high: last, start: left + 8, end: width - right - 8),
      Axis(low: low, high: high, start: height - 44, end: top)
    )
  }

  func figure(name: String, title: String, caption: String, alternative: String) -> Figure {
    var canvas = SVGCanvas()
    let (x, y) = axes()
    drawAxes(x, y, on: &canvas)
    for bound in bounds {
      let place = y.position(bound.value)
      canvas.line(x.start - 8, place, x.end + 8, place, stroke: Palette.muted, dash: "2 4")
      canvas.text(bound.name, x.start - 4, place - 5, size: 11, fill: Palette.muted)
    }
    for line in drawn { draw(line, x, y, on: &canvas) }
    drawEnds(x, y, on: &canvas)
    return Figure(
      name: name, title: title, caption: caption, alternative: alternative, width: width, height: height,
      canvas: canvas)
  }

  private func drawAxes(_ x: Axis, _ y: Axis, on canvas: inout SVGCanvas) {
    let (from, to) = (x.start - 8, x.end + 8)
    canvas.text(yHeading, 8, 14, fill: Palette.muted)
    let levels = Ticks(from: y.low, to: y.high, atMost: 6)
    for value in levels.values {
      let place = y.position(value)
      canvas.line(from, place, to, place, stroke: Palette.grid)
      canvas.text(levels.text(value), from - 8, place + 4, size: 11, fill: Palette.muted, anchor: .end)
    }
    canvas.line(from, y.start, to, y.start, stroke: Palette.axis)
    let columns = Ticks(from: x.low, to: x.high, atMost: 11, whole: true)
    for value in columns.values {
      let place = x.position(value)
      canvas.line(place, y.start, place, y.start + 4, stroke: Palette.axis)
      canvas.text(
        columns.text(value), place, y.start + 17, size: 11, fill: Palette.muted, anchor: .middle)
    }
    canvas.text(xHeading, (from + to) / 2, height - 8, fill: Palette.muted, anchor: .middle)
  }

  private func draw(_ line: Series, _ x: Axis, _ y: Axis, on canvas: inout SVGCanvas) {
    let places = line.points.map { (x: x.position($0.x), y: y.position($0.y)) }
    if !line.isMark, places.count > 1 { canvas.path(places, stroke: line.colour, dash: line.dash) }
    for (place, point) in zip(places, line.points) {
      let tip = "\(line.name), \(xHeading) \(coordinate(point.x)): \(fixed(point.y, digits + 1))"
      if line.isMark {
        canvas.diamond(place.x, place.y, radius: 6, fill: line.colour, tip: tip)
      } else if places.count <= 60 {
        canvas.circle(
          place.x, place.y, radius: places.count <= 25 ? 3.2 : 2, fill: line.colour, tip: tip,
          isDetail: places.count > 1)
      }
    }
  }

  /// Labels at the last points, moved apart where they would cover each other.
  private func drawEnds(_ x: Axis, _ y: Axis, on canvas: inout SVGCanvas) {
    let lines = drawn
    let wanted = lines.map { y.position($0.points.last?.y ?? 0) }
    for (line, place) in zip(lines, spread(wanted, distance: 15, from: y.end, to: y.start)) {
      let start = x.end + 14
      if line.isMark {
        canvas.diamond(start + 6, place, radius: 5, fill: line.colour)
      } else {
        canvas.line(start, place, start + 12, place, stroke: line.colour, width: 3, dash: line.dash)
      }
      canvas.text(endText(line), start + 17, place + 4)
    }
  }
}

/// Places as near to the wanted ones as they can be when none is nearer to another than `distance`.
///
/// - Returns: In the order of `wanted`; within [low, high] as far as there is room.
package func spread(_ wanted: [Double], distance: Double, from low: Double, to high: Double) -> [Double] {
  let order = wanted.indices.sorted { (wanted[$0], $0) < (wanted[$1], $1) }
  var places = wanted
  var previous = -Double.infinity
  for index in order {
    places[index] = max(wanted[index], previous + distance)
    previous = places[index]
  }
  // What was pushed over the end comes back, pushing those before it.
  var next = max(high, low + distance * Double(wanted.count - 1)) + distance
  for index in order.reversed() {
    places[index] = min(places[index], next - distance)
    next = places[index]
  }
  return places
}

/// At most `count` elements, evenly spaced, the first and the last among them.
package func thinned<Element>(_ elements: [Element], to count: Int) -> [Element] {
  guard elements.count > count, count > 1 else { return elements }
  return (0..<count).map { elements[$0 * (elements.count - 1) / (count - 1)] }
}
