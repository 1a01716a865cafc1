import Foundation
import KernelInterface
import Numerics
import Testing

/// The functions of vectors against double precision, at every level that this processor runs.
struct VectorFunctionTests {
  /// Floats of both signs from 0 to ∞, evenly among all that there are, and the edges.
  static let sweep: [Float] = {
    var values: [Float] = []
    for bits in stride(from: UInt32(0), through: Float.infinity.bitPattern, by: 1009) {
      values.append(Float(bitPattern: bits))
      values.append(-Float(bitPattern: bits))
    }
    return values + [
      .infinity, -.infinity, .greatestFiniteMagnitude, .leastNormalMagnitude, 0.5, 1, 88.722_83,
    ]
  }()

  static func run(_ level: ProcessorLevel, _ f: UnaryFunction, _ x: [Float]) -> [Float] {
    var y = [Float](repeating: 7, count: x.count)
    level.implementation.map(f, x, into: &y, count: x.count)
    return y
  }

  /// The distance to the next float, in double precision: of the smallest normal numbers it is subnormal, which threads of
  /// a team treat as zero.
  static func ulp(_ x: Float) -> Double {
    Double(sign: .plus, exponent: Int(x.exponent) - 23, significand: 1)
  }

  /// Distance in units in the last place of what would be the correctly rounded result; 0 where both are the same infinity.
  static func ulps(_ found: Float, _ expected: Double) -> Double {
    let rounded = Float(expected)
    if rounded == found { return 0 }
    if found.isNaN || found.isInfinite || rounded.isInfinite { return .infinity }
    return abs(Double(found) - expected) / ulp(max(abs(rounded), .leastNormalMagnitude))
  }

  static func normal(_ x: Double) -> Double { 0.5 * erfc(-x / 2.0.squareRoot()) }
  static func density(_ x: Double) -> Double { Foundation.exp(-x * x / 2) / (2 * Double.pi).squareRoot() }
  static func slope(_ x: Double) -> Double { normal(x) + x * density(x) }

  struct Function: Sendable, CustomTestStringConvertible {
    let name: UnaryFunction
    let reference: @Sendable (Double) -> Double
    /// Largest error in ulp.
    let bound: Double
    var testDescription: String { "\(name)" }
  }

  static let functions = [
    Function(name: .exp, reference: { Foundation.exp($0) }, bound: 1.1),
    Function(name: .log, reference: { Foundation.log($0) }, bound: 1),
    Function(name: .tanh, reference: { Foundation.tanh($0) }, bound: 1.5),
    Function(name: .erf, reference: { Foundation.erf($0) }, bound: 1.5),
    Function(
      name: .sigmoid,
      reference: { $0 < 0 ? Foundation.exp($0) / (1 + Foundation.exp($0)) : 1 / (1 + Foundation.exp(-$0)) },
      bound: 2.5),
    Function(name: .squareRoot, reference: { $0.squareRoot() }, bound: 0.5),
  ]

  /// In both states of a thread: one that ever led a team treats numbers below the smallest normal one as zero, going in,
  /// in between and coming out, so that its results may be wrong by that much.
  @Test(arguments: ProcessorLevel.runnable, functions)
  func agreesWithDoublePrecision(level: ProcessorLevel, f: Function) {
    for isInTeam in [false, true] {
      if isInTeam { _ = ThreadTeam.alone() }
      let slack = VectorFunctionTests.flushesSubnormals() ? Double(Float.leastNormalMagnitude) : 0
      let found = VectorFunctionTests.run(level, f.name, VectorFunctionTests.sweep)
      var worst = (ulps: 0.0, x: Float(0))
      for (x, y) in zip(VectorFunctionTests.sweep, found) {
        let readings = VectorFunctionTests.readings(x, flushed: slack > 0)
        let error =
          readings.map { VectorFunctionTests.error(y, f.reference($0), slack: slack) }.min() ?? .infinity
        if error > worst.ulps { worst = (error, x) }
      }
      #expect(worst.ulps <= f.bound, "\(worst.ulps) ulp at \(worst.x), subnormals are zero: \(slack > 0)")
    }
    #expect(VectorFunctionTests.flushesSubnormals())
  }

  /// Whether this thread takes the smallest number for zero.
  @inline(never)
  static func flushesSubnormals(_ smallest: [Float] = [.leastNonzeroMagnitude, 1]) -> Bool {
    smallest[0] * smallest[1] == 0
  }

  /// What the thread may take x for: a kernel that only moves x does not flush it.
  static func readings(_ x: Float, flushed: Bool) -> [Double] {
    guard x.bitPattern & 0x7f80_0000 == 0 else { return [Double(x)] }
    let exact = Double(sign: x.sign, exponent: -149, significand: Double(x.bitPattern & 0x7f_ffff))
    return flushed ? [exact, x.sign == .minus ? -0.0 : 0] : [exact]
  }

  /// In units in the last place beyond the slack; 0 where both are NaN, and where the result would be subnormal and is zero.
  static func error(_ found: Float, _ expected: Double, slack: Double) -> Double {
    if expected.isNaN || found.isNaN { return expected.isNaN == found.isNaN ? 0 : .infinity }
    if found == 0 && abs(expected) < Double(Float.leastNormalMagnitude) { return 0 }
    if abs(Double(found) - expected) <= slack { return 0 }
    return ulps(found, expected)
  }

  @Test(arguments: ProcessorLevel.runnable)
  func geluAgreesWithDoublePrecision(level: ProcessorLevel) {
    // Without fused multiply-add the rounding of x² does not come back: half an ulp of 87 in the exponent.
    let bound =
      level.implementation.isFused ? (left: 8.0, right: 2.2, slope: 4.2) : (left: 70, right: 2.6, slope: 70)
    let x = VectorFunctionTests.sweep.filter { $0 > -13.2 && $0 < 1e30 }
    let y = VectorFunctionTests.run(level, .gelu, x)
    var slopes = [Float](repeating: 7, count: x.count)
    level.implementation.map(
      .geluGradient, [Float](repeating: 1, count: x.count), x, into: &slopes, count: x.count)
    var worst = (left: 0.0, right: 0.0, slope: 0.0)
    for ((x, y), slope) in zip(zip(x, y), slopes) {
      let (d, p) = (Double(x), VectorFunctionTests.normal(Double(x)))
      let error = VectorFunctionTests.ulps(y, d * p)
      if x < -1 { worst.left = max(worst.left, error) } else { worst.right = max(worst.right, error) }
      let terms = Float(max(p, abs(d) * VectorFunctionTests.density(d)))
      worst.slope = max(
        worst.slope, abs(Double(slope) - VectorFunctionTests.slope(d)) / VectorFunctionTests.ulp(terms))
    }
    #expect(worst.left <= bound.left, "\(worst)")
    #expect(worst.right <= bound.right, "\(worst)")
    #expect(worst.slope <= bound.slope, "\(worst)")
  }

  @Test(arguments: ProcessorLevel.runnable)
  func edges(level: ProcessorLevel) {
    let x: [Float] = [0, -0.0, .infinity, -.infinity, .nan, -20]
    // As words, which tell 0 from −0; the sign of NaN does not count.
    func values(_ f: UnaryFunction) -> [String] {
      VectorFunctionTests.run(level, f, x).map { $0.isNaN ? "nan" : "\($0)" }
    }
    #expect(values(.exp) == ["1.0", "1.0", "inf", "0.0", "nan", "\(Float(Foundation.exp(-20.0)))"])
    #expect(values(.log)[..<5] == ["-inf", "-inf", "inf", "nan", "nan"])
    #expect(values(.tanh) == ["0.0", "-0.0", "1.0", "-1.0", "nan", "-1.0"])
    #expect(values(.erf) == ["0.0", "-0.0", "1.0", "-1.0", "nan", "-1.0"])
    #expect(values(.sigmoid)[..<5] == ["0.5", "0.5", "1.0", "0.0", "nan"])
    #expect(values(.squareRoot) == ["0.0", "-0.0", "inf", "nan", "nan", "nan"])
    #expect(values(.gelu) == ["0.0", "-0.0", "inf", "-0.0", "nan", "-0.0"])
    var slopes = [Float](repeating: 7, count: x.count)
    level.implementation.map(
      .geluGradient, [Float](repeating: 1, count: x.count), x, into: &slopes, count: x.count)
    #expect(slopes[..<4] == [0.5, 0.5, 1, 0] && slopes[4].isNaN && slopes[5] == 0)
  }

  /// Around the places where one polynomial follows another, and where a function reaches its limit, none of them falls.
  @Test(arguments: ProcessorLevel.runnable)
  func joinsAreMonotone(level: ProcessorLevel) {
    for (f, join) in [
      (UnaryFunction.tanh, Float(0.625)), (.tanh, 9), (.tanh, 10), (.erf, 0.85), (.erf, 3.95),
    ] {
      let first = join.bitPattern - 2000
      let x = (0..<4000).map { Float(bitPattern: first + $0) }
      let y = VectorFunctionTests.run(level, f, x)
      #expect(zip(y, y.dropFirst()).allSatisfy { $0 <= $1 }, "\(f) at \(join)")
      #expect(VectorFunctionTests.run(level, f, x.map { -$0 }) == y.map { -$0 }, "\(f) is odd")
    }
  }

  @Test func levelsWithFusedMultiplyAddGiveTheSameBits() {
    let levels = ProcessorLevel.runnable.filter { $0.implementation.isFused }
    guard let last = levels.last else { return }
    for level in levels.dropLast() {
      for f in UnaryFunction.allCases {
        let a = VectorFunctionTests.run(level, f, VectorFunctionTests.sweep)
        let b = VectorFunctionTests.run(last, f, VectorFunctionTests.sweep)
        #expect(zip(a, b).allSatisfy { $0.bitPattern == $1.bitPattern || ($0.isNaN && $1.isNaN) }, "\(f)")
      }
    }
  }
}
