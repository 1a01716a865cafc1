/// A table drawn as shaded cells: rows are experts, classes or ranks, columns are classes, ranks or epochs.
package struct HeatMap {
  package struct Cell {
    /// From 0 to 1.
    package var shade: Double
    package var hue: ColourScale.Hue
    /// Written into the cell where it fits.
    package var label: String
    /// Written under the label where both fit.
    package var note: String
    /// Shown when one points at the cell.
    package var tip: String

    package init(
      shade: Double, hue: ColourScale.Hue = .amount, label: String, note: String = "", tip: String
    ) {
      self.shade = shade
      self.hue = hue
      self.label = label
      self.note = note
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
  /// The same of the cells of faults; nil where there are none.
  var faultScale: (String, String)?
  /// Whether columns are points in time: their labels stand level, as many as there is room for.
  var areColumnsPlaces = false
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
    /// Whether notes stand under the numbers.
    var showsNotes = false

    /// The upper left corner of a cell.
    package func corner(row: Int, column: Int) -> (x: Double, y: Double) {
      (left + Double(column) * cellWidth, top + Double(row) * cellHeight)
    }
  }

  package var layout: Layout {
    func longest(_ words: [String], size: Double = 12) -> Double {
      words.map { SVGCanvas.width(of: $0, size: size) }.max() ?? 0
    }
    let left = min(150, 20 + longest(rows.map(clipped)))
    let right = bars.isEmpty ? 12.0 : 128
    let cellWidth = min(hasNotes ? 96 : 64, (width - left - right) / Double(max(columns.count, 1)))
    let showsNotes = hasNotes && cellWidth >= 60
    let cellHeight = showsNotes ? 44.0 : rows.count <= 10 ? 32.0 : rows.count <= 40 ? 22 : 14
    let turn: Turn =
      areColumnsPlaces || longest(columns, size: tickSize) <= cellWidth - 4
      ? .level : cellWidth >= 20 ? .slanted : .upright
    let labelSize = turn == .upright ? min(tickSize, max(6, cellWidth - 1)) : tickSize
    let label = turn == .level ? 0 : longest(columns.map(clipped), size: labelSize)
    let room = turn == .level ? 18 : turn == .upright ? label + 10 : 0.66 * label + 18
    let number = cells.joined().map { SVGCanvas.width(of: $0.label, size: 1) }.max() ?? 0
    let size = min(12, (cellWidth - 4) / max(number, 0.5), cellHeight - 6)
    return Layout(
      left: left, top: 26 + room, cellWidth: cellWidth, cellHeight: cellHeight, turn: turn,
      labelSize: labelSize, numberSize: size >= 8 ? size : nil, showsNotes: showsNotes)
  }

  private var hasNotes: Bool { cells.joined().contains { !$0.note.isEmpty } }

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
    let isWide = width > 800
    drawScale(
      .amount, "\(scaleEnds.0)", "\(scaleEnds.1) \(scaleHeading)", on: &canvas, x: layout.left, y: bottom + 18
    )
    if let faultScale {
      drawScale(
        .fault, faultScale.0, faultScale.1, on: &canvas, x: layout.left + (isWide ? 400 : 0),
        y: bottom + (isWide ? 18 : 40))
    }
    let height = bottom + (faultScale == nil || isWide ? 50 : 72)
    return Figure(
      name: name, title: title, caption: caption, alternative: alternative, width: width, height: height,
      canvas: canvas)
  }

  private func drawLabels(_ layout: Layout, on canvas: inout SVGCanvas) {
    let (left, top, turn, labelSize) = (layout.left, layout.top, layout.turn, layout.labelSize)
    let (cellWidth, cellHeight) = (layout.cellWidth, layout.cellHeight)
    canvas.text(columnHeading, left, 14, size: 12, fill: Palette.muted)
    // Labels of points in time that would touch are left out.
    let widest = columns.map { SVGCanvas.width(of: $0, size: labelSize) + 6 }.max() ?? 0
    let every = areColumnsPlaces ? max(1, Int((widest / cellWidth).rounded(.up))) : 1
    for (column, label) in columns.enumerated() where column.isMultiple(of: every) {
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
        clipped(label), left - 8, middle + 4, fill: isWarned ? Palette.warning : Palette.ink, anchor: .end,
        bold: isWarned)
    }
  }

  private func drawCells(_ layout: Layout, on canvas: inout SVGCanvas) {
    let (cellWidth, cellHeight) = (layout.cellWidth, layout.cellHeight)
    let gap = cellWidth >= 6 ? 1.0 : 0
    canvas.cells(
      cells.enumerated().flatMap { row, line in
        line.enumerated().map { column, cell in
          let (x, y) = layout.corner(row: row, column: column)
          let fill = ColourScale.colour(cell.shade, of: cell.hue).code
          return SVGCanvas.Cell(
            x: x, y: y, width: cellWidth - gap, height: cellHeight - 1, fill: fill, tip: cell.tip)
        }
      })
    // Of a large table the shades say enough where a page has to be small.
    let isDetail = rows.count * columns.count > 200
    for (row, line) in cells.enumerated() {
      for (column, cell) in line.enumerated() where !cell.label.isEmpty {
        guard let size = layout.numberSize else { continue }
        let (x, y) = layout.corner(row: row, column: column)
        let background = ColourScale.colour(cell.shade, of: cell.hue)
        let ink = cell.shade == 0 ? Palette.muted : ColourScale.ink(on: background).code
        let middle = x + (cellWidth - gap) / 2
        let hasNote = layout.showsNotes && !cell.note.isEmpty
        let base = y + cellHeight / 2 + 0.35 * size - (hasNote ? 8.5 : 0.5)
        canvas.text(cell.label, middle, base, size: size, fill: ink, anchor: .middle, isDetail: isDetail)
        if hasNote {
          canvas.text(
            cell.note, middle, base + 16, size: 10, fill: ink, anchor: .middle, isDetail: isDetail)
        }
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

  private func drawScale(
    _ hue: ColourScale.Hue, _ low: String, _ high: String, on canvas: inout SVGCanvas, x left: Double,
    y: Double
  ) {
    let steps = 16
    let (length, thickness) = (144.0, 10.0)
    canvas.text(low, left, y + 9, size: tickSize, fill: Palette.muted)
    let start = left + SVGCanvas.width(of: low, size: tickSize) + 6
    canvas.cells(
      (0..<steps).map { step in
        SVGCanvas.Cell(
          x: start + length * Double(step) / Double(steps), y: y, width: length / Double(steps) + 0.3,
          height: thickness,
          fill: ColourScale.colour((Double(step) + 0.5) / Double(steps), of: hue).code)
      })
    canvas.rectangle(start - 0.5, y - 0.5, length + 1.3, thickness + 1, fill: "none", stroke: Palette.grid)
    canvas.text(high, start + length + 7, y + 9, size: tickSize, fill: Palette.muted)
  }
}
