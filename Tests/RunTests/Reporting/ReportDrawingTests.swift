import Foundation
import Glibc
import Reporting
import TestSupport
import Testing

struct ReportDrawingTests {
  // MARK: - Text

  @Test(arguments: [
    ("a<b>&\"c'", "a&lt;b&gt;&amp;&quot;c&#39;"),
    ("</script>", "&lt;/script&gt;"),
    ("&amp;", "&amp;amp;"),
    ("tab\tstays", "tab\tstays"),
    ("\u{0}\u{1B}[31m", "\u{FFFD}\u{FFFD}[31m"),
    ("\u{202E}txt", "\u{FFFD}txt"),
    ("T = ½ · log₂ 5", "T = ½ · log₂ 5"),
  ])
  func whatMarkupCouldTakeForItsOwnIsReplaced(text: String, safe: String) {
    #expect(Markup.escaped(text) == safe)
  }

  @Test(arguments: [
    (0.0, "0"), (2.0, "2"), (100.0, "100"), (1.5, "1.5"), (0.126, "0.13"), (-0.001, "0"), (-3.25, "-3.25"),
    (1e300, "1e+300"),
  ])
  func coordinatesHaveTwoDigitsAtMost(value: Double, text: String) { #expect(coordinate(value) == text) }

  @Test(arguments: [
    (0.0, "0.0 %"), (0.0004, "< 0.1 %"), (0.0006, "0.1 %"), (0.5, "50.0 %"), (0.9996, "> 99.9 %"),
    (1.0, "100.0 %"),
  ])
  func sharesNeverReadAsNothingOrAllWhereTheyAreNot(share: Double, text: String) {
    #expect(percentText(share) == text)
  }

  @Test func countsHaveGroupsOfThreeDigits() {
    #expect(countText(0) == "0")
    #expect(countText(999) == "999")
    #expect(countText(1_000) == "1\u{2009}000")
    #expect(countText(-1_234_567) == "-1\u{2009}234\u{2009}567")
  }

  @Test(arguments: [
    ("runs/a-1/config.yaml", "runs/a-1/config.yaml"), ("", "''"), ("a b", "'a b'"), ("it's", "'it'\\''s'"),
    ("$(x)", "'$(x)'"),
  ])
  func wordsAreQuotedForTheShell(word: String, quoted: String) { #expect(shellQuoted(word) == quoted) }

  // MARK: - Axes

  @Test func ticksAreRoundNumbers() {
    #expect(Ticks(from: 0, to: 1, atMost: 6).values == [0, 0.2, 0.4, 0.6, 0.8, 1])
    #expect(Ticks(from: 0.13, to: 0.17, atMost: 6).values == [0.13, 0.14, 0.15, 0.16, 0.17])
    #expect(Ticks(from: -1, to: 1, atMost: 5).values == [-1, -0.5, 0, 0.5, 1])
    #expect(Ticks(from: 1, to: 4, atMost: 11, whole: true).values == [1, 2, 3, 4])
    #expect(
      Ticks(from: 0, to: 20, atMost: 11, whole: true).values == stride(from: 0, through: 20, by: 2).map { $0 }
    )
    #expect(Ticks(from: 0, to: 1e300, atMost: 3).values == [0, 5e299, 1e300])
  }

  /// The step is 1, 2 or 5 times a power of ten, and the next smaller one would give too many ticks.
  @Test(arguments: 0..<200)
  func ticksFillTheirAxis(number: Int) throws {
    var generator = SplitMix(state: UInt64(number))
    let low: Double = generator.symmetric(1) * pow(10, Double(number % 13 - 6))
    let length: Double = (0.01 + 0.99 * generator.unit()) * pow(10, Double(number % 9 - 4))
    let high: Double = low + length
    let most = 2 + number % 10
    let ticks = Ticks(from: low, to: high, atMost: most)
    let tolerance: Double = 1e-6 * length
    #expect(ticks.values.count <= most)
    #expect(ticks.values.allSatisfy { $0 >= low - tolerance && $0 <= high + tolerance })
    guard ticks.values.count > 1 else { return }
    let step: Double = ticks.values[1] - ticks.values[0]
    let mantissa: Double = step / pow(10, floor(log10(step * 1.000_001)))
    let allowed: Double = try #require([1.0, 2, 5].first { (mantissa - $0).magnitude < 1e-3 })
    let smaller: Double = allowed == 5 ? step * 2 / 5 : step / 2
    let last: Double = floor(high / smaller + 1e-6)
    let first: Double = ceil(low / smaller - 1e-6)
    let wouldBe: Double = last - first + 1
    #expect(wouldBe > Double(most))
  }

  @Test func tickLabelsTellTicksApart() {
    let fine = Ticks(from: 0.13, to: 0.17, atMost: 6)
    #expect(fine.values.map { fine.text($0) } == ["0.13", "0.14", "0.15", "0.16", "0.17"])
    let coarse = Ticks(from: 0, to: 4e7, atMost: 5)
    #expect(coarse.values.map { coarse.text($0) } == ["0", "1e7", "2e7", "3e7", "4e7"])
  }

  @Test func anAxisMapsItsEndsAndItsMiddle() {
    let axis = Axis(low: 2, high: 6, start: 100, end: 20)
    #expect(axis.position(2) == 100)
    #expect(axis.position(6) == 20)
    #expect(axis.position(4) == 60)
    #expect(axis.position(99) == 20)
  }

  @Test(arguments: [
    [0.1, 0.5], [0.9, 1.0], [3.0], [0.0], [], [-2, 5], [1e308, -1e308],
    [.leastNonzeroMagnitude, .leastNormalMagnitude], [7, 7, 7],
  ])
  func aRangeHoldsItsValuesAndHasALength(values: [Double]) {
    let (low, high) = Axis.range(of: values)
    #expect(low.isFinite && high.isFinite && low < high)
    for value in values where value.magnitude < 1e299 { #expect(low <= value && value <= high) }
    #expect(!Ticks(from: low, to: high, atMost: 6).values.isEmpty)
  }

  @Test func zeroIsAnEndUnlessValuesLieFarFromIt() {
    #expect(Axis.range(of: [0.1, 0.5]).low == 0)
    #expect(Axis.range(of: [0.9, 1.0]).low > 0.8)
  }

  @Test(arguments: [[50.0], [50, 52, 54], [0, 0, 0, 0], [100, 99, 98], [10, 40, 70], [100, 0, 100]])
  func labelsKeepTheirDistance(wanted: [Double]) {
    let places = spread(wanted, distance: 15, from: 0, to: 100)
    let sorted = places.sorted()
    for (lower, upper) in zip(sorted, sorted.dropFirst()) { #expect(upper - lower >= 15 - 1e-9) }
    #expect(places.allSatisfy { $0 <= 100 })
    for first in wanted.indices {
      for second in wanted.indices where wanted[first] < wanted[second] {
        #expect(places[first] < places[second])
      }
    }
    let sparse = wanted.sorted()
    if zip(sparse, sparse.dropFirst()).allSatisfy({ $1 - $0 >= 15 }) { #expect(places == wanted) }
  }

  @Test func thinningKeepsTheEnds() {
    #expect(thinned(Array(0..<1000), to: 5) == [0, 249, 499, 749, 999])
    #expect(thinned([1, 2, 3], to: 5) == [1, 2, 3])
  }

  // MARK: - Colours

  @Test func darkerIsMore() {
    let luminances = (0...100).map { ColourScale.colour(Double($0) / 100).luminance }
    for (lighter, darker) in zip(luminances, luminances.dropFirst()) { #expect(darker < lighter) }
    #expect(ColourScale.colour(-1) == ColourScale.colour(0))
    #expect(ColourScale.colour(2) == ColourScale.colour(1))
  }

  /// With the better of two inks the contrast is at least √(1.05 / (L_dark + 0.05)), whatever the background.
  @Test func numbersCanBeReadOnEveryShade() {
    let least = (1.05 / (Colour(0x1B1F24).luminance + 0.05)).squareRoot()
    for step in 0...100 {
      let background = ColourScale.colour(Double(step) / 100)
      #expect(background.contrast(to: ColourScale.ink(on: background)) >= least - 1e-9)
    }
  }

  @Test func luminanceIsThatOfTheStandard() {
    #expect(Colour(0xFFFFFF).luminance == 1)
    #expect(Colour(0x000000).luminance == 0)
    #expect(abs(Colour(0xFF0000).luminance - 0.2126) < 1e-12)
    #expect(Colour(0xFFFFFF).contrast(to: Colour(0)) == 21)
    #expect(Colour(0x0A0B0C).code == "#0a0b0c")
  }

  // MARK: - Heat maps

  /// Shades and labels from a formula of row and column.
  private func map(rows: Int, columns: Int, width: Double) -> HeatMap {
    var cells: [[HeatMap.Cell]] = []
    for row in 0..<rows {
      cells.append(
        (0..<columns).map { column in
          HeatMap.Cell(
            shade: shade(row, column), label: String((row + column) % 10), tip: "cell \(row) \(column)")
        })
    }
    return HeatMap(
      rows: (0..<rows).map { "expert \($0)" }, columns: (0..<columns).map { "class \($0)" }, cells: cells,
      bars: (0..<rows).map { _ in 1 / Double(rows) }, columnHeading: "classes", scaleHeading: "of the class",
      width: width)
  }

  private func shade(_ row: Int, _ column: Int) -> Double {
    let steps = (row * 7 + column * 3) % 101
    return Double(steps) / 100
  }

  @Test(arguments: [(5, 10, 560.0), (20, 100, 1140.0), (1, 1, 560.0), (64, 256, 1140.0)])
  func cellsLieWhereTheTableSays(rows: Int, columns: Int, width: Double) throws {
    let map = map(rows: rows, columns: columns, width: width)
    let figure = map.figure(name: "m", title: "t", caption: "c", alternative: "a")
    let drawn = try DrawnShapes(figure.file)
    let cells = drawn.shapes.filter { $0.title?.hasPrefix("cell ") == true }
    try #require(cells.count == rows * columns)
    let layout = map.layout
    for row in 0..<rows {
      for column in 0..<columns {
        let cell = cells[row * columns + column]
        #expect(cell.title == "cell \(row) \(column)")
        let x: Double = layout.left + Double(column) * layout.cellWidth
        let y: Double = layout.top + Double(row) * layout.cellHeight
        let colour = ColourScale.colour(shade(row, column)).code
        let isThere = (cell["x"] - x).magnitude < 0.01 && (cell["y"] - y).magnitude < 0.01
        #expect(isThere)
        let isInside = x + cell["width"] <= figure.width && y + cell["height"] <= figure.height
        #expect(isInside)
        #expect(cell.attributes["fill"] == colour)
      }
    }
  }

  @Test func aTableOfTwentyByOneHundredCanBeSeen() {
    let layout = map(rows: 20, columns: 100, width: 1140).layout
    #expect(layout.cellWidth >= 8)
    #expect(layout.labelSize >= 7)
  }

  @Test func numbersStandInCellsWhereTheyFit() {
    #expect(map(rows: 5, columns: 10, width: 560).layout.numberSize == 12)
    #expect(map(rows: 5, columns: 200, width: 560).layout.numberSize == nil)
  }
}

/// The shapes of a drawing, read back by the system's XML parser.
final class DrawnShapes: NSObject {
  struct Shape {
    var name: String
    var attributes: [String: String]
    var title: String?
    var text = ""
    /// An attribute as a number; NaN where there is none.
    subscript(name: String) -> Double { attributes[name].flatMap(Double.init) ?? .nan }
  }

  private(set) var shapes: [Shape] = []

  /// - Throws: where the text is not well-formed.
  init(_ xml: String) throws {
    let elements = try ParsedXML(xml).elements
    super.init()
    var parents: [Int: Int] = [:]
    for (index, element) in elements.enumerated() {
      if element.name == "title", let parent = element.parent, let place = parents[parent] {
        shapes[place].title = element.text
      } else {
        parents[index] = shapes.count
        shapes.append(Shape(name: element.name, attributes: element.attributes, text: element.text))
      }
    }
  }
}
