/// Damages files, the same ones from the same seed.
package struct Damage {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  /// A number below a bound, by splitmix64.
  private mutating func number(below bound: Int) -> Int {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return Int((z ^ (z >> 31)) % UInt64(bound))
  }

  /// A file with one bit that is another.
  package mutating func flip(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    let bit = number(below: bytes.count * 8)
    bytes[bit / 8] ^= 1 << UInt8(bit % 8)
    return bytes
  }

  /// The beginning of a file.
  package mutating func cut(_ bytes: [UInt8]) -> [UInt8] { Array(bytes[..<number(below: bytes.count)]) }

  /// A file with a few changes of many kinds, some of them such as a text's reader may stumble over.
  package mutating func mutate(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    for _ in 0...number(below: 4) {
      let place = number(below: bytes.count + 1)
      let end = min(bytes.count, place + 1 + number(below: 1 << number(below: 7)))
      switch number(below: 7) {
      case 0 where !bytes.isEmpty: bytes = flip(bytes)
      case 1 where !bytes.isEmpty: bytes = cut(bytes)
      case 2: bytes.removeSubrange(place..<end)
      case 3: bytes.insert(contentsOf: bytes[place..<end], at: number(below: bytes.count + 1))
      case 4 where place < end: bytes[place] = [0, 1, 0x7F, 0x80, 0xFF][number(below: 5)]
      case 5: bytes.insert(UInt8(number(below: 256)), at: place)
      default: bytes.insert(contentsOf: Self.words[number(below: Self.words.count)].utf8, at: place)
      }
    }
    return bytes
  }

  private static let words = [
    "-1", "0", "9223372036854775807", "-9223372036854775808", "1e308", "1e-400", "4294967296", "[", "]", "{",
    "}", ",",
    ":", "\"", "\\u0000", "\\ud800", "null", "true", "[[[[[[[[", "{\"a\":", "'", "#", "&a", "*a", "!!", "|",
    ">", "? ",
    "- ", "---", "...", "\t", "\n", "\r", "\u{85}", "\u{2028}", "\u{FEFF}", "%YAML 1.1", "nan", "inf", "0x10",
  ]
}
