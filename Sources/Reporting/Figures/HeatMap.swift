/// A table drawn as shaded cells: rows are experts, columns are classes or epochs.
package struct HeatMap {
  package struct Cell {
    /// From 0 to 1.
    package var shade: Double
    /// Written into the cell where it fits.
    package var label: String
    /// Shown when one points at the cell.
    package var tip: String

    package init(shade: Double, label: String, tip: String) {
      self.shade = shade
      self.label = label
      self.tip = tip
    }
  }

  package var rows: [String]
  package var columns: [String]
  /// [rows][columns]
  package var cells: [[Cell]]
  /// A share from 0 to 1 to the right of every row, as a bar; empty for none.
  var bars: [Double]
  var barHeading: String
  /// Rows whose bar is marked as a warning, with the word for it.
  var warnings: [Int: String]
  var columnHeading: String
  /// What the shades from 0 to 1 mean, and their ends.
  var scaleHeading: String
  var scaleEnds: (String, String)
  var width: Double

  package init(
    rows: [String], columns: [String], cells: [[Cell]], bars: [Double] = [], barHeading: String = "",
    warnings: [Int: String] = [:], columnHeading: String, scaleHeading: String,
    scaleEnds: (String, String) = ("0 %", "100 %"), width: Double
  ) {
    precondition(
      cells.count == rows.count && cells.allSatisfy { $0.count == columns.count }
        && (bars.isEmpty || bars.count == rows.count), "there is a cell for every row and column")
    self.rows = rows
    self.columns = columns
    self.cells = cells
    self.bars = bars
    self.barHeading = barHeading
    self.warnings = warnings
    self.columnHeading = columnHeading
    self.scaleHeading = scaleHeading
    self.scaleEnds = scaleEnds
    self.width = width
  }

  // MARK: - Geometry

  /// How column labels stand.
  enum Turn: Double {
    case level = 0
    case slanted = -40
    case upright = -90
  }

  /// Where everything is, found once for a drawing.
  package struct Layout {
    package var left: Double
    package var top: Double
    /// Few columns stay narrow enough to be seen as one table.
    package var cellWidth: Double
    package var cellHeight: Double
    var turn: Turn
    package var labelSize: Double
    /// Size of the numbers in the cells; nil where they do not fit.
    package var numberSize: Double?

    /// The upper left corner of a cell.
    package func corner(row: Int, column: Int) -> (x: Double, y: Double) {
      (left + Double(column) * cellWidth, top + Double(row) * cellHeight)
    }
  }

  package var layout: Layout {
    func longest(_ words: [String], size: Double = 12) -> Double {
      words.map { SVGCanvas.width(of: $0, size: size) }.max() ?? 0
    }
    let left = min(150, 20 + longest(rows))
    let right = bars.isEmpty ? 12.0 : 128
    let cellWidth = min(64, (width - left - right) / Double(max(columns.count, 1)))
    let cellHeight = rows.count <= 10 ? 32.0 : rows.count <= 40 ? 22 : 14
    let turn: Turn =
      longest(columns, size: tickSize) <= cellWidth - 4 ? .level : cellWidth >= 20 ? .slanted : .upright
    let labelSize = turn == .upright ? min(tickSize, max(6, cellWidth - 1)) : tickSize
    let label = longest(columns.map(clipped), size: labelSize)
    let room = turn == .level ? 18 : turn == .upright ? label + 10 : 0.66 * label + 18
    let number = cells.joined().map { SVGCanvas.width(of: $0.label, size: 1) }.max() ?? 0
    let size = min(12, (cellWidth - 4) / max(number, 0.5), cellHeight - 6)
    return Layout(
      left: left, top: 26 + room, cellWidth: cellWidth, cellHeight: cellHeight, turn: turn,
      labelSize: labelSize, numberSize: size >= 8 ? size : nil)
  }

  private let tickSize = 11.0

  private func clipped(_ text: String) -> String { text.count <= 20 ? text : text.prefix(19) + "…" }

  // MARK: - Drawing

  package func figure(name: String, title: String, caption: String, alternative: String) -> Figure {
    var canvas = SVGCanvas()
    let layout = self.layout
    drawLabels(layout, on: &canvas)
    drawCells(layout, on: &canvas)
    drawBars(layout, on: &canvas)
    let bottom = layout.top + Double(rows.count) * layout.cellHeight
    drawScale(on: &canvas, x: layout.left, y: bottom + 18)
    return Figure(
      name: name, title: title, caption: caption, alternative: alternative, width: width, height: bottom + 50,
      canvas: canvas)
  }

  private func drawLabels(_ layout: Layout, on canvas: inout SVGCanvas) {
    let (left, top, turn, labelSize) = (layout.left, layout.top, layout.turn, layout.labelSize)
    let (cellWidth, cellHeight) = (layout.cellWidth, layout.cellHeight)
    canvas.text(columnHeading, left, 14, size: 12, fill: Palette.muted)
    for (column, label) in columns.enumerated() {
      let middle = left + (Double(column) + 0.5) * cellWidth
      switch turn {
      case .level: canvas.text(label, middle, top - 6, size: labelSize, anchor: .middle)
      case .upright:
        canvas.text(clipped(label), middle + 0.35 * labelSize, top - 5, size: labelSize, turned: -90)
      case .slanted: canvas.text(clipped(label), middle - 2, top - 6, size: labelSize, turned: turn.rawValue)
      }
    }
    for (row, label) in rows.enumerated() {
      let middle = top + (Double(row) + 0.5) * cellHeight
      let isWarned = warnings[row] != nil
      canvas.text(
        label, left - 8, middle + 4, fill: isWarned ? Palette.warning : Palette.ink, anchor: .end,
        bold: isWarned)
    }
  }

  private func drawCells(_ layout: Layout, on canvas: inout SVGCanvas) {
    let (cellWidth, cellHeight) = (layout.cellWidth, layout.cellHeight)
    let gap = cellWidth >= 6 ? 1.0 : 0
    let size = layout.numberSize
    for (row, line) in cells.enumerated() {
      for (column, cell) in line.enumerated() {
        let (x, y) = layout.corner(row: row, column: column)
        let colour = ColourScale.colour(cell.shade)
        canvas.rectangle(x, y, cellWidth - gap, cellHeight - 1, fill: colour.code, tip: cell.tip)
        guard let size, !cell.label.isEmpty else { continue }
        canvas.text(
          cell.label, x + (cellWidth - gap) / 2, y + cellHeight / 2 + 0.35 * size - 0.5, size: size,
          fill: cell.shade == 0 ? Palette.axis : ColourScale.ink(on: colour).code, anchor: .middle)
      }
    }
    let frame = (Double(columns.count) * cellWidth - gap, Double(rows.count) * cellHeight - 1)
    canvas.rectangle(
      layout.left - 0.5, layout.top - 0.5, frame.0 + 1, frame.1 + 1, fill: "none", stroke: Palette.grid)
  }

  private func drawBars(_ layout: Layout, on canvas: inout SVGCanvas) {
    guard !bars.isEmpty else { return }
    let (top, cellHeight) = (layout.top, layout.cellHeight)
    let x = layout.left + Double(columns.count) * layout.cellWidth + 10
    let full = 52.0
    canvas.text(barHeading, x, top - 6, size: tickSize, fill: Palette.muted)
    let most = max(bars.max() ?? 0, 1e-9)
    for (row, share) in bars.enumerated() {
      let y = top + Double(row) * cellHeight
      let warning = warnings[row]
      canvas.rectangle(
        x, y + 0.25 * cellHeight, max(0.5, full * share / most), 0.5 * cellHeight,
        fill: warning == nil ? Palette.axis : Palette.warning)
      canvas.text(
        warning ?? percentText(share), x + max(2, full * share / most) + 5, y + cellHeight / 2 + 4,
        size: tickSize,
        fill: warning == nil ? Palette.ink : Palette.warning, bold: warning != nil)
    }
  }

  private func drawScale(on canvas: inout SVGCanvas, x left: Double, y: Double) {
    let steps = 24
    let (length, thickness) = (144.0, 10.0)
    canvas.text(scaleEnds.0, left, y + 9, size: tickSize, fill: Palette.muted)
    let start = left + SVGCanvas.width(of: scaleEnds.0, size: tickSize) + 6
    for step in 0..<steps {
      let colour = ColourScale.colour((Double(step) + 0.5) / Double(steps))
      canvas.rectangle(
        start + length * Double(step) / Double(steps), y, length / Double(steps) + 0.3, thickness,
        fill: colour.code)
    }
    canvas.rectangle(start - 0.5, y - 0.5, length + 1.3, thickness + 1, fill: "none", stroke: Palette.grid)
    canvas.text(
      "\(scaleEnds.1) \(scaleHeading)", start + length + 7, y + 9, size: tickSize, fill: Palette.muted)
  }
}
