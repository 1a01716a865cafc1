import KernelInterface
import Numerics
import Testing

/// The kernels of updates give the same bits on every level with fused multiply-add.
struct UpdateKernelTests {
  private static let count = 16 * 37

  /// Values, gradients and two vectors of state, the second not negative; different in size by powers of ten.
  private static func buffers() -> [Floats] {
    var draws = KernelTests.Values(state: 77)
    return (0..<4).map { which in
      let buffer = Floats.allocate(capacity: count)
      for i in 0..<count {
        let value = draws.next() * [1, 1e-3, 1e-6, 40][i % 4]
        buffer.advanced(by: i).initialize(to: which == 3 ? value * value : value)
      }
      return buffer
    }
  }

  private static func bits(_ update: (any KernelLevel.Type, [Floats]) -> Void) -> [[UInt32]] {
    ProcessorLevel.runnable.map(\.implementation).filter { $0.isFused }.map { level in
      let buffers = buffers()
      defer { for buffer in buffers { buffer.deallocate() } }
      for _ in 0..<3 { update(level, buffers) }
      return buffers.flatMap { buffer in (0..<count).map { buffer[$0].bitPattern } }
    }
  }

  private static func expectOneResult(_ results: [[UInt32]]) {
    #expect(results.allSatisfy { $0 == results[0] })
  }

  @Test(arguments: [false, true])
  func adam(isDecoupled: Bool) {
    let step = AdamStep(
      step: 3, learningRate: 0.01, weightDecay: 0.3, isDecoupled: isDecoupled, gradientScale: 0.7)
    Self.expectOneResult(
      Self.bits { level, b in
        level.adam(step, values: b[0], gradients: b[1], first: b[2], second: b[3], count: Self.count)
      })
  }

  @Test(arguments: [false, true])
  func sgd(hasMomentum: Bool) {
    let step = SGDStep(learningRate: 0.01, momentum: 0.9, weightDecay: 0.3, gradientScale: 0.7)
    Self.expectOneResult(
      Self.bits { level, b in
        level.sgd(
          step, values: b[0], gradients: b[1], momentum: hasMomentum ? b[2] : nil, count: Self.count)
      })
  }

  /// Squares of floats are exact in double precision, so that nothing depends on fused multiply-add either.
  @Test func squareSum() {
    let buffers = Self.buffers()
    defer { for buffer in buffers { buffer.deallocate() } }
    let found = ProcessorLevel.runnable.map { $0.implementation.squareSum(buffers[1], count: Self.count) }
    #expect(Set(found.map(\.bitPattern)).count == 1)
    let expected = (0..<Self.count).reduce(0) { $0 + Double(buffers[1][$1]) * Double(buffers[1][$1]) }
    #expect(abs((found.first ?? 0) - expected) < 1e-13 * expected)
  }
}
