import Networks
import Numerics
import Testing

@Suite struct PhiloxTests {
  /// Random123's kat_vectors, philox4x32 with 10 rounds: counter, key, result.
  static let knownAnswers: [(SIMD4<UInt32>, SIMD2<UInt32>, SIMD4<UInt32>)] = [
    (SIMD4(0, 0, 0, 0), SIMD2(0, 0), SIMD4(0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8)),
    (
      SIMD4(repeating: .max), SIMD2(repeating: .max),
      SIMD4(0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD)
    ),
    (
      SIMD4(0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344), SIMD2(0xA409_3822, 0x299F_31D0),
      SIMD4(0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1)
    ),
  ]

  @Test(arguments: 0..<3) func givesRandom123sKnownAnswers(_ index: Int) {
    let (counter, key, expected) = Self.knownAnswers[index]
    #expect(philox4x32(counter: counter, key: key) == expected)
  }

  @Test func streamPutsItsCountersLowWordFirst() {
    let stream = RandomStream(seed: 7, purpose: .shuffle)
    let expected = philox4x32(counter: SIMD4(2, 1, 4, 3), key: stream.key)
    #expect(stream.words(0x1_0000_0002, 0x3_0000_0004) == expected)
  }

  /// SplitMix64 started at 0 gives 0xE220A8397B1DCDAF first: the finaliser of 0x9E3779B97F4A7C15. A seed of that
  /// value therefore has the key 0xE220A8397B1DCDAF + purpose · 0x9E3779B97F4A7C15.
  @Test(arguments: RandomStream.Purpose.allCases) func keyFollowsItsDefinition(
    _ purpose: RandomStream.Purpose
  ) {
    let key = RandomStream(seed: 0x9E37_79B9_7F4A_7C15, purpose: purpose).key
    let expected = 0xE220_A839_7B1D_CDAF &+ UInt64(purpose.rawValue) &* 0x9E37_79B9_7F4A_7C15
    #expect(UInt64(key.y) << 32 | UInt64(key.x) == expected)
  }

  @Test func seedsAndPurposesHaveTheirOwnKeys() {
    var keys = Set<SIMD2<UInt32>>()
    for purpose in RandomStream.Purpose.allCases {
      for seed in 0..<2000 as Range<UInt64> {
        for shift in [0, 32, 52] as [UInt64] {
          keys.insert(RandomStream(seed: seed << shift | (shift > 0 ? 1 : 0), purpose: purpose).key)
        }
      }
    }
    // seed << 32 | 1 and seed << 52 | 1 are the seed 1 where seed is 0: three seeds fall together.
    #expect(keys.count == RandomStream.Purpose.allCases.count * (3 * 2000 - 2))
  }

  @Test func uniformMappingsAreExactAtTheirEnds() {
    let smallest: Double = 0x1p-53
    #expect(RandomStream.uniform01(0) == 0)
    #expect(RandomStream.uniform01(0xFF) == 0)
    #expect(RandomStream.uniform01(0x100) == Float(1) / 16_777_216)
    #expect(RandomStream.uniform01(.max) == 1 - Float(1) / 16_777_216)
    #expect(RandomStream.uniform01(high: 0, low: 0x7FF) == 0)
    #expect(RandomStream.uniform01(high: 0, low: 0x800) == smallest)
    #expect(RandomStream.uniform01(high: .max, low: .max) == 1 - smallest)
    #expect(RandomStream.uniform01(high: 0x8000_0000, low: 0) == 0.5)
    #expect(RandomStream.symmetric(0) == Float(1) / 16_777_216)
    #expect(RandomStream.symmetric(.max) == -Float(1) / 16_777_216)
    #expect(RandomStream.symmetric(0x7FFF_FFFF) == 1 - Float(1) / 16_777_216)
    #expect(RandomStream.symmetric(0x8000_0000) == -(1 - Float(1) / 16_777_216))
  }
}

@Suite struct TensorInitialiserTests {
  private func values(_ spec: TensorSpec, seed: UInt64) -> [Float] {
    [Float](unsafeUninitializedCapacity: spec.count) { buffer, count in
      // Not a number where the initialiser writes nothing.
      buffer.initialize(repeating: .nan)
      spec.initialise(seed: seed, into: buffer.baseAddress!)
      count = spec.count
    }
  }

  /// Published test vectors of FNV-1a, 64 bits.
  @Test func hashesAsPublished() {
    #expect(fnv1a64("") == 0xCBF2_9CE4_8422_2325)
    #expect(fnv1a64("a") == 0xAF63_DC4C_8601_EC8C)
    #expect(fnv1a64("foobar") == 0x8594_4171_F739_67E8)
  }

  @Test(arguments: [1, 2, 3, 4, 5, 7, 8, 845, 4097])
  func everyElementIsAFunctionOfNameAndIndexAlone(_ count: Int) {
    let name = "experts.3.fc1.weight"
    let found = values(TensorSpec(name: name, shape: [count], role: .weight(fanIn: 169)), seed: 5)
    let stream = RandomStream(seed: 5, purpose: .initialisation)
    let expected = (0..<count).map {
      RandomStream.symmetric(stream.words(fnv1a64(name), UInt64($0 / 4))[$0 % 4]) * (Float(1) / 13)
    }
    #expect(found == expected)
  }

  /// U(±a) has mean 0 and variance a²/3; with n = 10⁶ the means lie within five of their standard errors,
  /// a/√(3n) and (a²/3)·√(4/(5n)).
  @Test func weightsAreUniformWithinTheBound() {
    let count = 1_000_000
    let found = values(
      TensorSpec(name: "gate.fc1.weight", shape: [1000, 1000], role: .weight(fanIn: 4)), seed: 0)
    let a = 0.5
    #expect(found.allSatisfy { abs($0) < Float(a) })
    let mean = found.reduce(0.0) { $0 + Double($1) } / Double(count)
    let square = found.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(count)
    #expect(abs(mean) < 5 * a / (3 * Double(count)).squareRoot())
    #expect(abs(square - a * a / 3) < 5 * (a * a / 3) * (4 / (5 * Double(count))).squareRoot())
  }

  @Test func constantsAreConstant() {
    #expect(values(TensorSpec(name: "b", shape: [3], role: .constant(1)), seed: 9) == [1, 1, 1])
    #expect(values(TensorSpec(name: "b", shape: [2], role: .statistic(0)), seed: 9) == [0, 0])
  }

  @Test func namesAndSeedsGiveOtherValues() {
    func start(_ name: String, _ seed: UInt64) -> [Float] {
      values(TensorSpec(name: name, shape: [64], role: .weight(fanIn: 9)), seed: seed)
    }
    let first = start("experts.0.conv1.weight", 0)
    #expect(zip(first, start("experts.1.conv1.weight", 0)).allSatisfy { $0 != $1 })
    #expect(zip(first, start("experts.0.conv1.weight", 1)).allSatisfy { $0 != $1 })
  }
}
