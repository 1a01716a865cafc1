/// A table with a caption; cells are text and are escaped here.
struct HTMLTable {
  var caption: String
  var heading: [String]
  var rows: [[String]] = []
  /// Columns whose cells are words, to the left; the others are figures, to the right.
  var wordColumns: Set<Int> = [0]

  private var style: String {
    if wordColumns.count == heading.count { return " class=\"text\"" }
    return heading.count > 12 ? " class=\"many\"" : ""
  }

  var html: String {
    func row(_ cells: [String], _ name: String) -> String {
      let inner = cells.enumerated().map { column, cell in
        let isWords = wordColumns.contains(column)
        let tag = name == "td" && column == 0 ? "th" : name
        let scope = tag == "th" ? (name == "td" ? " scope=\"row\"" : " scope=\"col\"") : ""
        return "<\(tag)\(scope)\(isWords ? " class=\"words\"" : "")>\(Markup.escaped(cell))</\(tag)>"
      }
      return "<tr>\(inner.joined())</tr>\n"
    }
    return """
      <div class="table"\(ReportPage.focusable(caption))><table\(style)>
      <caption>\(Markup.escaped(caption))</caption>
      <thead>\(row(heading, "th"))</thead>
      <tbody>
      \(rows.map { row($0, "td") }.joined())</tbody>
      </table></div>

      """
  }
}
