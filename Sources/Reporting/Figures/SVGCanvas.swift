internal import Foundation

/// A drawing under way: shapes in the order in which they are painted. Lengths are CSS pixels, y grows downwards.
struct SVGCanvas {
  private(set) var pieces: [Piece] = []

  enum Piece {
    /// Attributes of its own, those that others share, and words as markup.
    case text(place: String, style: String, words: String, isDetail: Bool)
    /// A detail is left out where a page has to be small.
    case shape(name: String, attributes: String, tip: String?, isDetail: Bool)
    case cells([Cell])
  }

  /// A rectangle of a table, one of many.
  struct Cell {
    var x: Double
    var y: Double
    var width: Double
    var height: Double
    var fill: String
    var tip: String?
  }

  mutating func cells(_ cells: [Cell]) { pieces.append(.cells(cells)) }

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

  mutating func circle(
    _ x: Double, _ y: Double, radius: Double, fill: String, tip: String? = nil, isDetail: Bool = false
  ) {
    let centre = length(" cx", x) + length(" cy", y) + length(" r", radius)
    add("circle", centre + " fill=\"\(fill)\" stroke=\"#ffffff\"", tip: tip, isDetail: isDetail)
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
    anchor: Anchor = .start, bold: Bool = false, turned: Double = 0, isDetail: Bool = false
  ) {
    var attributes = place(x, y)
    var style = length(" font-size", size) + " fill=\"\(fill)\""
    if anchor != .start { style += " text-anchor=\"\(anchor.rawValue)\"" }
    if bold { style += " font-weight=\"600\"" }
    if turned != 0 {
      attributes += " transform=\"rotate(\(coordinate(turned)) \(coordinate(x)) \(coordinate(y)))\""
    }
    pieces.append(.text(place: attributes, style: style, words: Markup.escaped(words), isDetail: isDetail))
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

  private mutating func add(
    _ name: String, _ attributes: String, tip: String? = nil, isDetail: Bool = false
  ) {
    pieces.append(.shape(name: name, attributes: attributes, tip: tip, isDetail: isDetail))
  }
}

extension SVGCanvas.Piece {
  /// - Parameter isBrief: without tips and details, and the cells of a colour as one shape, a tenth of the length.
  func markup(isBrief: Bool) -> String {
    switch self {
    case .text(let place, let style, let words, _): "<text\(place)\(style)>\(words)</text>\n"
    case .shape(_, _, _, true) where isBrief: ""
    case .shape(let name, let attributes, let tip?, _) where !isBrief:
      "<\(name)\(attributes)><title>\(Markup.escaped(tip))</title></\(name)>\n"
    case .shape(let name, let attributes, _, _): "<\(name)\(attributes) />\n"
    case .cells(let cells): isBrief ? Self.brief(cells) : cells.map(Self.full).joined()
    }
  }

  /// Pieces in brief, where words in a row that look alike are one group.
  static func brief(_ pieces: [SVGCanvas.Piece]) -> String {
    var markup = ""
    var styles: [String] = []
    var groups: [String: String] = [:]
    func flush() {
      for style in styles { markup += "<g\(style)>\(groups[style] ?? "")</g>\n" }
      (styles, groups) = ([], [:])
    }
    for piece in pieces {
      guard case .text(let place, let style, let words, let isDetail) = piece else {
        flush()
        markup += piece.markup(isBrief: true)
        continue
      }
      if isDetail { continue }
      if groups[style] == nil { styles.append(style) }
      groups[style, default: ""] += "<text\(place)>\(words)</text>"
    }
    flush()
    return markup
  }

  private static func full(_ cell: SVGCanvas.Cell) -> String {
    let place = "x=\"\(coordinate(cell.x))\" y=\"\(coordinate(cell.y))\""
    let size = "width=\"\(coordinate(cell.width))\" height=\"\(coordinate(cell.height))\""
    return "<rect \(place) \(size) fill=\"\(cell.fill)\""
      + (cell.tip.map { "><title>\(Markup.escaped($0))</title></rect>\n" } ?? " />\n")
  }

  private static func brief(_ cells: [SVGCanvas.Cell]) -> String {
    var fills: [String] = []
    var paths: [String: String] = [:]
    for cell in cells {
      if paths[cell.fill] == nil { fills.append(cell.fill) }
      let width = coordinate(cell.width)
      paths[cell.fill, default: ""] +=
        "M\(coordinate(cell.x)) \(coordinate(cell.y))h\(width)v\(coordinate(cell.height))h-\(width)z"
    }
    return fills.map { "<path fill=\"\($0)\" d=\"\(paths[$0] ?? "")\" />\n" }.joined()
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
  private let pieces: [SVGCanvas.Piece]

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
    pieces = canvas.pieces
  }

  /// The drawing as an element of an HTML page.
  ///
  /// - Parameters:
  ///   - id: Unique in the page.
  ///   - isBrief: Whether the page has to be small.
  func inline(id: String, isBrief: Bool = false) -> String { svg(id: id, attributes: "", isBrief: isBrief) }

  /// The drawing as a file of its own.
  package var file: String {
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      + svg(id: name, attributes: " xmlns=\"http://www.w3.org/2000/svg\"", isBrief: false) + "\n"
  }

  private func svg(id: String, attributes: String, isBrief: Bool) -> String {
    let (w, h) = (coordinate(width), coordinate(height))
    let body =
      isBrief ? SVGCanvas.Piece.brief(pieces) : pieces.map { $0.markup(isBrief: false) }.joined()
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
