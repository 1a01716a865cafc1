internal import Foundation

/// A drawing under way: shapes in the order in which they are painted. Lengths are CSS pixels, y grows downwards.
struct SVGCanvas {
  private(set) var body = ""

  enum Anchor: String {
    case start, middle, end
  }

  mutating func rectangle(
    _ x: Double, _ y: Double, _ width: Double, _ height: Double, fill: String, stroke: String = "none",
    radius: Double = 0, tip: String? = nil
  ) {
    var attributes = place(x, y) + length(" width", width) + length(" height", height) + " fill=\"\(fill)\""
    if stroke != "none" { attributes += " stroke=\"\(stroke)\"" }
    if radius > 0 { attributes += length(" rx", radius) }
    add("rect", attributes, tip: tip)
  }

  mutating func line(
    _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, stroke: String, width: Double = 1,
    dash: String? = nil
  ) {
    let ends = length(" x1", x1) + length(" y1", y1) + length(" x2", x2) + length(" y2", y2)
    add("line", ends + pen(stroke, width, dash))
  }

  /// A line through points.
  mutating func path(
    _ points: [(x: Double, y: Double)], stroke: String, width: Double = 2, dash: String? = nil
  ) {
    let moves = points.enumerated().map {
      ($0.offset == 0 ? "M" : "L") + coordinate($0.element.x) + " " + coordinate($0.element.y)
    }
    add("path", " d=\"\(moves.joined())\" fill=\"none\" stroke-linejoin=\"round\"" + pen(stroke, width, dash))
  }

  mutating func circle(_ x: Double, _ y: Double, radius: Double, fill: String, tip: String? = nil) {
    let centre = length(" cx", x) + length(" cy", y) + length(" r", radius)
    add("circle", centre + " fill=\"\(fill)\" stroke=\"#ffffff\"", tip: tip)
  }

  /// A square on its corner.
  mutating func diamond(_ x: Double, _ y: Double, radius: Double, fill: String, tip: String? = nil) {
    let corners = [(0.0, -radius), (radius, 0), (0, radius), (-radius, 0)]
      .map { coordinate(x + $0.0) + " " + coordinate(y + $0.1) }
    add("path", " d=\"M\(corners.joined(separator: "L"))Z\" fill=\"\(fill)\" stroke=\"#ffffff\"", tip: tip)
  }

  /// Words at a place; `turned` is clockwise, in degrees, about that place.
  mutating func text(
    _ words: String, _ x: Double, _ y: Double, size: Double = 12, fill: String = Palette.ink,
    anchor: Anchor = .start, bold: Bool = false, turned: Double = 0
  ) {
    var attributes = place(x, y) + length(" font-size", size) + " fill=\"\(fill)\""
    if anchor != .start { attributes += " text-anchor=\"\(anchor.rawValue)\"" }
    if bold { attributes += " font-weight=\"600\"" }
    if turned != 0 {
      attributes += " transform=\"rotate(\(coordinate(turned)) \(coordinate(x)) \(coordinate(y)))\""
    }
    body += "<text\(attributes)>\(Markup.escaped(words))</text>\n"
  }

  /// A picture, given as the bytes of a PNG file.
  mutating func picture(
    _ file: [UInt8], _ x: Double, _ y: Double, _ width: Double, _ height: Double, tip: String
  ) {
    let data = Data(file).base64EncodedString()
    add(
      "image",
      place(x, y) + length(" width", width) + length(" height", height)
        + " preserveAspectRatio=\"none\" style=\"image-rendering: pixelated\" href=\"data:image/png;base64,\(data)\"",
      tip: tip)
  }

  /// About how wide words are; system fonts differ.
  static func width(of words: String, size: Double = 12) -> Double {
    0.56 * size * Double(words.unicodeScalars.count)
  }

  // MARK: - Pieces

  private func place(_ x: Double, _ y: Double) -> String { length(" x", x) + length(" y", y) }

  private func length(_ name: String, _ value: Double) -> String { "\(name)=\"\(coordinate(value))\"" }

  private func pen(_ stroke: String, _ width: Double, _ dash: String?) -> String {
    " stroke=\"\(stroke)\"" + length(" stroke-width", width)
      + (dash.map { " stroke-dasharray=\"\($0)\"" } ?? "")
  }

  private mutating func add(_ name: String, _ attributes: String, tip: String? = nil) {
    if let tip {
      body += "<\(name)\(attributes)><title>\(Markup.escaped(tip))</title></\(name)>\n"
    } else {
      body += "<\(name)\(attributes) />\n"
    }
  }
}

/// A finished drawing with its words.
package struct Figure {
  /// Stem of the file's name.
  package let name: String
  let title: String
  /// One or two sentences for those who see the figure, under it.
  let caption: String
  /// What the figure shows, for those who do not see it.
  let alternative: String
  package let width: Double
  package let height: Double
  let body: String

  init(
    name: String, title: String, caption: String, alternative: String, width: Double, height: Double,
    canvas: SVGCanvas
  ) {
    self.name = name
    self.title = title
    self.caption = caption
    self.alternative = alternative
    self.width = width
    self.height = height
    body = canvas.body
  }

  /// The drawing as an element of an HTML page.
  ///
  /// - Parameter id: Unique in the page.
  func inline(id: String) -> String { svg(id: id, attributes: "") }

  /// The drawing as a file of its own.
  package var file: String {
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      + svg(id: name, attributes: " xmlns=\"http://www.w3.org/2000/svg\"") + "\n"
  }

  private func svg(id: String, attributes: String) -> String {
    let (w, h) = (coordinate(width), coordinate(height))
    return """
      <svg\(attributes) width="\(w)" height="\(h)" viewBox="0 0 \(w) \(h)" role="img" \
      aria-labelledby="\(id)-title \(id)-desc" font-family="\(Self.fonts)">
      <title id="\(id)-title">\(Markup.escaped(title))</title>
      <desc id="\(id)-desc">\(Markup.escaped(alternative))</desc>
      \(body)</svg>
      """
  }

  private static let fonts =
    "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
}
