/// Why a text is not JSON, and where.
public struct JSONError: Error, Equatable, CustomStringConvertible {
  /// The byte, from 0, at which the text stopped making sense.
  public let offset: Int
  public let reason: String

  public var description: String { "\(reason) at byte \(offset)" }
}

extension JSONValue {
  /// Reads a text from an untrusted source.
  ///
  /// Stricter than RFC 8259 where two readers could disagree: the same key twice, an integer that does not fit Int, a
  /// number beyond Double, a lone surrogate and malformed UTF-8 are errors. Depth and number of values are bounded, so
  /// that neither the stack nor memory can be exhausted by a small file.
  ///
  /// - Parameters:
  ///   - bytes: The whole text; only white space may surround the value.
  ///   - maximumDepth: How many arrays and objects may lie inside each other.
  ///   - maximumValues: How many values there may be in all.
  public init(parsing bytes: [UInt8], maximumDepth: Int = 32, maximumValues: Int = 2_000_000)
    throws(JSONError)
  {
    var reader = StrictJSONReader(bytes: bytes, maximumDepth: maximumDepth, valuesLeft: maximumValues)
    self = try reader.readDocument()
  }

  /// Reads a text from an untrusted source, see ``init(parsing:maximumDepth:maximumValues:)``.
  public init(parsing text: String) throws(JSONError) { try self.init(parsing: Array(text.utf8)) }
}

private struct StrictJSONReader {
  let bytes: [UInt8]
  let maximumDepth: Int
  var valuesLeft: Int
  var position = 0

  var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  func isDigit(_ byte: UInt8) -> Bool { UInt8(ascii: "0") <= byte && byte <= UInt8(ascii: "9") }

  func failure(_ reason: String) -> JSONError { JSONError(offset: position, reason: reason) }

  mutating func readDocument() throws(JSONError) -> JSONValue {
    let value = try readValue(depth: 0)
    skipWhitespace()
    guard position == bytes.count else { throw failure("unexpected text after the value") }
    return value
  }

  mutating func skipWhitespace() {
    while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  /// Skips white space, then the byte if it is the next one.
  mutating func take(_ character: Unicode.Scalar) -> Bool {
    skipWhitespace()
    guard next == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  mutating func readValue(depth: Int) throws(JSONError) -> JSONValue {
    skipWhitespace()
    guard valuesLeft > 0 else { throw failure("too many values") }
    valuesLeft -= 1
    switch next {
    case UInt8(ascii: "{"): return try readObject(depth: depth + 1)
    case UInt8(ascii: "["): return try readArray(depth: depth + 1)
    case UInt8(ascii: "\""): return .string(try readString())
    case UInt8(ascii: "t"): return try readWord("true", .bool(true))
    case UInt8(ascii: "f"): return try readWord("false", .bool(false))
    case UInt8(ascii: "n"): return try readWord("null", .null)
    case nil: throw failure("unexpected end")
    case let byte? where byte == UInt8(ascii: "-") || isDigit(byte): return try readNumber()
    default: throw failure("unexpected character")
    }
  }

  mutating func readWord(_ word: String, _ value: JSONValue) throws(JSONError) -> JSONValue {
    guard bytes[position...].starts(with: word.utf8) else { throw failure("unexpected character") }
    position += word.utf8.count
    return value
  }

  mutating func readArray(depth: Int) throws(JSONError) -> JSONValue {
    guard depth <= maximumDepth else { throw failure("nested deeper than \(maximumDepth)") }
    position += 1
    var elements: [JSONValue] = []
    if take("]") { return .array(elements) }
    repeat { elements.append(try readValue(depth: depth)) } while take(",")
    guard take("]") else { throw failure("expected ',' or ']'") }
    return .array(elements)
  }

  mutating func readObject(depth: Int) throws(JSONError) -> JSONValue {
    guard depth <= maximumDepth else { throw failure("nested deeper than \(maximumDepth)") }
    position += 1
    var members: [JSONValue.Member] = []
    if take("}") { return .object(members) }
    var keys: Set<String> = []
    repeat {
      skipWhitespace()
      guard next == UInt8(ascii: "\"") else { throw failure("expected a key in quotes") }
      let start = position
      let key = try readString()
      guard keys.insert(key).inserted else { throw JSONError(offset: start, reason: "the same key twice") }
      guard take(":") else { throw failure("expected ':'") }
      members.append(JSONValue.Member(key: key, value: try readValue(depth: depth)))
    } while take(",")
    guard take("}") else { throw failure("expected ',' or '}'") }
    return .object(members)
  }

  mutating func readNumber() throws(JSONError) -> JSONValue {
    let start = position
    var isInteger = true
    if next == UInt8(ascii: "-") { position += 1 }
    if next == UInt8(ascii: "0") { position += 1 } else { try readDigits() }
    if next == UInt8(ascii: ".") {
      isInteger = false
      position += 1
      try readDigits()
    }
    if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
      isInteger = false
      position += 1
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
      try readDigits()
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    // "-0" is the one integer that Int cannot tell from another.
    if isInteger, text != "-0" {
      guard let value = Int(text) else { throw JSONError(offset: start, reason: "integer out of range") }
      return .integer(value)
    }
    guard let value = Double(text), value.isFinite else {
      throw JSONError(offset: start, reason: "number out of range")
    }
    return .number(value)
  }

  mutating func readDigits() throws(JSONError) {
    let start = position
    while let byte = next, isDigit(byte) { position += 1 }
    guard position > start else { throw failure("expected a digit") }
  }

  mutating func readString() throws(JSONError) -> String {
    position += 1
    let start = position
    var run = position
    var unescaped: [UInt8] = []
    while let byte = next {
      switch byte {
      case UInt8(ascii: "\""):
        let all = unescaped.isEmpty ? bytes[run..<position] : (unescaped + bytes[run..<position])[...]
        guard let text = String(validating: all, as: UTF8.self) else {
          throw JSONError(offset: start, reason: "malformed UTF-8 in the string")
        }
        position += 1
        return text
      case UInt8(ascii: "\\"):
        unescaped += bytes[run..<position]
        position += 1
        unescaped += String(try readEscape()).utf8
        run = position
      case 0..<0x20: throw failure("control character in a string")
      default: position += 1
      }
    }
    throw failure("unexpected end in a string")
  }

  mutating func readEscape() throws(JSONError) -> Unicode.Scalar {
    guard let byte = next else { throw failure("unexpected end in a string") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      var code = try readFourHexadecimalDigits()
      if (0xD800..<0xDC00).contains(code), bytes[position...].starts(with: #"\u"#.utf8) {
        position += 2
        let low = try readFourHexadecimalDigits()
        guard (0xDC00..<0xE000).contains(low) else { throw failure("lone surrogate in a string") }
        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw failure("lone surrogate in a string") }
      return scalar
    default: throw failure("unknown escape in a string")
    }
  }

  mutating func readFourHexadecimalDigits() throws(JSONError) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
        throw failure("expected four hexadecimal digits")
      }
      code = code << 4 | UInt32(digit)
      position += 1
    }
    return code
  }
}
