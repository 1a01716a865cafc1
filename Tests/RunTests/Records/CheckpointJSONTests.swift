import Files
import Testing

private let readable: [(String, JSONValue)] = [
  ("null", JSONValue.null), (" true ", true), ("false", false), ("0", 0), ("-17", -17),
  ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)), ("-0", .number(-0.0)),
  ("0.5", 0.5), ("1e3", 1000.0), ("-2.5E-1", -0.25), ("\"\"", ""), ("[]", []), ("{}", [:]),
  ("[1, [2], {\"a\":\t3}]\r\n", [1, [2], ["a": 3]]),
  (#""\"\\\/\b\f\n\r\t\u0041\u00e9\uD83D\uDE00é""#, .string("\"\\/\u{8}\u{C}\n\r\tAé😀é")),
]

@Suite struct CheckpointJSONTests {
  @Test(arguments: readable)
  func readsWhatIsJSON(text: String, value: JSONValue) throws {
    #expect(try JSONValue(parsing: text) == value)
  }

  @Test(arguments: [
    ("", 0), ("  ", 2), ("nul", 0), ("[1,]", 3), ("{\"a\":1,}", 7), ("01", 1), ("1.", 2), (".5", 0),
    ("1e", 2),
    ("+1", 0), ("- 1", 1), ("0x10", 1), ("NaN", 0), ("[1 2]", 3), ("{\"a\" 1}", 5), ("{a:1}", 1),
    ("\"abc", 4),
    ("\"\\x\"", 3), ("\"\\u12g4\"", 5), ("\"\\uD800\"", 7), ("\"\\uDC00\"", 7), ("\"\\uD800\\u0041\"", 13),
    ("\"a\nb\"", 2), ("{} {}", 3), ("[1", 2), ("{\"a\":1,\"a\":1}", 7), ("{\"a\":1,\"\\u0061\":2}", 7),
    ("9223372036854775808", 0), ("[1e400]", 1), ("'a'", 0), ("/**/1", 0), ("\u{FEFF}1", 0),
  ])
  func refusesWhatIsNot(text: String, offset: Int) {
    let error = #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
    #expect(error?.offset == offset)
  }

  @Test func refusesMalformedUTF8() {
    // A continuation byte alone, an overlong slash, a surrogate, a code point beyond 0x10FFFF, a cut sequence.
    for bytes: [UInt8] in [
      [0x80], [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82],
    ] {
      #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22] + bytes + [0x22]) }
    }
  }

  @Test func depthAndNumberOfValuesAreBounded() throws {
    func nested(_ depth: Int) -> [UInt8] {
      Array(repeating: UInt8(ascii: "["), count: depth) + Array(repeating: UInt8(ascii: "]"), count: depth)
    }
    _ = try JSONValue(parsing: nested(32))
    #expect(throws: JSONError.self) { try JSONValue(parsing: nested(33)) }
    #expect(throws: JSONError.self) { try JSONValue(parsing: nested(100_000)) }
    #expect(throws: JSONError.self) { try JSONValue(parsing: Array("[1,2,3]".utf8), maximumValues: 3) }
    _ = try JSONValue(parsing: Array("[1,2,3]".utf8), maximumValues: 4)
  }

  @Test func writesOneCanonicalText() {
    let value: JSONValue = [
      "b": [1, 2.5, nil, true, []], "a": ["z": "\"\\\n\t\u{1}é/", "A": .number(.nan)],
      "é": .number(-.infinity), "aa": [:],
    ]
    let expected =
      #"{"a":{"A":null,"z":"\"\\\n\t\u0001é/"},"aa":{},"b":[1,2.5,null,true,[]],"é":null}"#
    #expect(value.text() == expected)
    let pretty = """
      {
        "a": [
          1,
          {
            "b": []
          }
        ]
      }
      """
    #expect((["a": [1, ["b": []]]] as JSONValue).text(pretty: true) == pretty)
  }

  @Test func numbersReadBackExactly() throws {
    let edges: [Double] = [
      0.1, 1 / 3, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 1e16, 123_456_789.0, -0.0, 1e-5, 2e22,
    ]
    for value in edges {
      let back = try JSONValue(parsing: JSONValue.number(value).text()).numberValue
      #expect(back?.bitPattern == value.bitPattern)
    }
  }

  @Test func textReadsBackAsTheSameValue() throws {
    let value: JSONValue = ["a": [1, "x", ["c": nil]], "b": 0.25]
    #expect(try JSONValue(parsing: value.text()) == value)
    #expect(try JSONValue(parsing: value.text(pretty: true)) == value)
    #expect(value["b"]?.numberValue == 0.25)
    #expect(value["missing"] == nil)
  }
}
