/// A small generator for test data (Steele, Lea and Flood 2014): the same numbers from the same state everywhere.
package struct SplitMix {
  package var state: UInt64

  package init(state: UInt64) { self.state = state }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Uniform in [0, 1).
  package mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// Uniform in [−limit, limit).
  package mutating func symmetric(_ limit: Double) -> Double { limit * (2 * unit() - 1) }

  /// 0, 1, …, count − 1; the bias of the remainder is far below what a test could see.
  package mutating func below(_ count: Int) -> Int { Int(next() % UInt64(count)) }
}
