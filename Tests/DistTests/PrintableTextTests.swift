import Dist
import Testing

struct PrintableTextTests {
  @Test func controlCharactersAreWrittenOut() {
    for value in Array(UInt32(0)...0x1F) + Array(0x7F...0x9F) where value != 0x0A && value != 0x09 {
      let scalar = Unicode.Scalar(value)!
      let hex = String(value, radix: 16, uppercase: true)
      #expect("a\(scalar)b".printable == "a\\u{\(hex)}b")
      #expect("a\(scalar)b".printableLine == "a\\u{\(hex)}b")
    }
  }

  @Test func aTerminalIsNotSteered() {
    #expect("\u{1B}]0;title\u{07}\u{1B}[2J".printable == #"\u{1B}]0;title\u{7}\u{1B}[2J"#)
    #expect("\u{9B}31m".printable == #"\u{9B}31m"#)
    #expect("good\rbad".printableLine == #"good\u{D}bad"#)
    // A carriage return and a newline are one character of a string, and two scalars.
    #expect("a\r\nb".printable == "a\\u{D}\nb")
  }

  @Test func textIsNotReordered() {
    for value: UInt32 in [
      0x061C, 0x200E, 0x200F, 0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2066, 0x2067, 0x2068, 0x2069, 0x2028,
      0x2029,
    ] {
      let hex = String(value, radix: 16, uppercase: true)
      #expect("a\(Unicode.Scalar(value)!)b".printable == "a\\u{\(hex)}b")
    }
  }

  @Test func linesStayInTextAndNotInALine() {
    #expect("a\tb\nc\n".printable == "a\tb\nc\n")
    #expect("a\tb\nmoe-dist: forged".printableLine == #"a\#tb\u{A}moe-dist: forged"#)
  }

  @Test func otherTextIsItself() {
    for text in ["", "plain", "Grüße, ΔΣ, 漢字, עברית", "quoted 'x' \\u{1B}", "e\u{301}\u{FFFD}"] {
      #expect(text.printable == text)
      #expect(text.printableLine == text)
    }
  }
}
