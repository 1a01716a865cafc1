/// A sign that gives YAML powers that a configuration has no use for.
struct YAMLIndicator: Equatable {
  let name: String
  /// Both from 1; columns in Unicode scalars, as YAML's own messages count them.
  let line: Int
  let column: Int

  /// The first anchor, alias, tag or directive outside quotes and comments; nil where there is none.
  ///
  /// Read before the parser sees the text, because a parser follows aliases while it builds its nodes.
  static func first(in yaml: String) -> YAMLIndicator? {
    var line = 1
    var column = 0
    var quote: Unicode.Scalar?
    var isComment = false
    var escaped = false
    // Whether the next sign begins a value or a key; an indicator means something only there.
    var atStart = true
    var previous: Unicode.Scalar = "\n"
    for scalar in yaml.unicodeScalars {
      column += 1
      defer { previous = scalar }
      if scalar == "\n" {
        line += 1
        column = 0
        isComment = false
        if quote == nil { atStart = true }
        continue
      }
      if isComment { continue }
      if let open = quote {
        if escaped {
          escaped = false
        } else if open == "\"" && scalar == "\\" {
          escaped = true
        } else if scalar == open {
          quote = nil
        }
        continue
      }
      let isBlank = scalar == " " || scalar == "\t" || scalar == "\r"
      if isBlank {
        if previous == ":" || previous == "-" || previous == "?" { atStart = true }
        continue
      }
      if scalar == "#", column == 1 || previous == " " || previous == "\t" {
        isComment = true
        continue
      }
      if scalar == "[" || scalar == "{" || scalar == "," || scalar == "]" || scalar == "}" {
        atStart = true
        continue
      }
      // In a flow mapping a quoted key needs no space between its colon and the value.
      if scalar == ":", ["\"", "'", "]", "}"].contains(previous) {
        atStart = true
        continue
      }
      guard atStart else { continue }
      switch scalar {
      case "&": return YAMLIndicator(name: "anchors ('&')", line: line, column: column)
      case "*": return YAMLIndicator(name: "aliases ('*')", line: line, column: column)
      case "!": return YAMLIndicator(name: "tags ('!')", line: line, column: column)
      case "%" where column == 1: return YAMLIndicator(name: "directives ('%')", line: line, column: column)
      case "\"", "'": quote = scalar
      default: break
      }
      atStart = false
    }
    return nil
  }
}
