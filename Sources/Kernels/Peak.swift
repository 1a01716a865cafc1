internal import CLanes

extension Kernels {
  @inline(never)
  public static func multiplyAdds(rounds: Int) -> Int { Chains<10>.run(rounds, 0.999_999, 1e-6) }
}

/// Independent sums, one a register.
struct Chains<let count: Int> {
  @inline(never)
  static func run(_ rounds: Int, _ factor: Float, _ term: Float) -> Int {
    let (x, y) = (vector_splat(factor), vector_splat(term))
    var chains = InlineArray<count, Vector>(repeating: vector_splat(1))
    for i in 0..<count { chains[i] = vector_splat(Float(i)) }
    for _ in 0..<rounds {
      for i in 0..<count { chains[i] = vector_fma(chains[i], x, y) }
    }
    var sum = chains[0]
    for i in 1..<count { sum += chains[i] }
    // A use of the result, so that it is computed.
    return 2 &* vectorWidth &* count &* rounds &+ (sum[0] == 0.5 ? 1 : 0)
  }
}
