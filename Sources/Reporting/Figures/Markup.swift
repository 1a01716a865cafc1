internal import Records

/// HTML and SVG as text. What comes from a run enters a page through ``escaped(_:)`` alone.
package enum Markup {
  /// The text with everything replaced that markup could take for its own, or that XML does not allow.
  package static func escaped(_ text: String) -> String {
    var safe = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": safe += "&amp;"
      case "<": safe += "&lt;"
      case ">": safe += "&gt;"
      case "\"": safe += "&quot;"
      case "'": safe += "&#39;"
      case "\t", "\n", "\r": safe.unicodeScalars.append(scalar)
      // Control characters are no XML, and marks of writing direction could make a path look like another.
      case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value),
        _ where scalar.value == 0xFFFE || scalar.value == 0xFFFF,
        _ where (0x202A...0x202E).contains(scalar.value) || (0x2066...0x2069).contains(scalar.value):
        safe += "\u{FFFD}"
      default: safe.unicodeScalars.append(scalar)
      }
    }
    return safe
  }

  /// An element whose content is markup already.
  static func element(_ name: String, _ attributes: KeyValuePairs<String, String> = [:], _ content: String)
    -> String
  {
    "<\(name)\(text(of: attributes))>\(content)</\(name)>"
  }

  private static func text(of attributes: KeyValuePairs<String, String>) -> String {
    attributes.map { " \($0.key)=\"\(escaped($0.value))\"" }.joined()
  }
}

/// A number as coordinates have it: two digits after the point at most, no zeros at the end.
package func coordinate(_ value: Double) -> String {
  precondition(value.isFinite, "a coordinate is a finite number")
  guard value.magnitude < 1e12 else { return value.description }
  var text = fixed(value, 2)
  while text.last == "0" { text.removeLast() }
  if text.last == "." { text.removeLast() }
  return text
}

/// A share as per cent with one digit after the point; what is not nothing never reads as nothing.
package func percentText(_ share: Double) -> String {
  if share > 0, share < 0.0005 { return "< 0.1 %" }
  if share < 1, share >= 0.9995 { return "> 99.9 %" }
  return fixed(100 * share, 1) + " %"
}

/// A count with thin spaces between groups of three digits.
package func countText(_ count: Int) -> String {
  let digits = Array(String(count.magnitude))
  var text = count < 0 ? "-" : ""
  for (position, digit) in digits.enumerated() {
    if position > 0, (digits.count - position).isMultiple(of: 3) { text += "\u{2009}" }
    text.append(digit)
  }
  return text
}
