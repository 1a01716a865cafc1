internal import CLanes
public import KernelInterface

// Functions of every element. What is left behind the last whole vector goes through one more, because only the same
// instructions give the same bits; its other lanes compute f(1, …).

extension Kernels {
  @inline(never)
  public static func map(_ f: UnaryFunction, _ x: UnsafePointer<Float>, into y: Floats, count: Int) {
    switch f {
    case .exp: each(x, into: y, count) { lanes_exp_everywhere($0) }
    case .log: each(x, into: y, count) { lanes_log_everywhere($0) }
    case .tanh: each(x, into: y, count) { lanes_tanh($0) }
    case .erf: each(x, into: y, count) { lanes_erf($0) }
    case .sigmoid: each(x, into: y, count) { lanes_sigmoid($0) }
    case .squareRoot: each(x, into: y, count) { lanes_sqrt($0) }
    case .gelu: each(x, into: y, count) { lanes_gelu($0) }
    }
  }

  @inline(never)
  public static func map(
    _ f: BinaryFunction, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into y: Floats, count: Int
  ) {
    switch f {
    case .add: each(a, b, into: y, count) { $0 + $1 }
    case .subtract: each(a, b, into: y, count) { $0 - $1 }
    case .multiply: each(a, b, into: y, count) { $0 * $1 }
    case .divide: each(a, b, into: y, count) { $0 / $1 }
    case .maximum: each(a, b, into: y, count) { lanes_maximum($0, $1) }
    case .geluGradient: each(a, b, into: y, count) { $0 * lanes_gelu_slope($1) }
    }
  }

  @inline(never)
  public static func map(
    _ f: TernaryFunction, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ c: UnsafePointer<Float>,
    into y: Floats, count: Int
  ) {
    switch f {
    case .multiplyAdd: each(a, b, c, into: y, count) { lanes_fma($0, $1, $2) }
    case .select: each(a, b, c, into: y, count) { lanes_select($0, $1, $2) }
    }
  }

  @inline(never)
  public static func sum(_ x: UnsafePointer<Float>, count: Int) -> Double {
    var sums = SIMD16<Double>(repeating: 0)
    var i = 0
    while i &+ laneCount <= count {
      sums = lanes_add_wide(sums, lanes_load(x + i))
      i &+= laneCount
    }
    if i < count { sums = lanes_add_wide(sums, lanes_load_first(x + i, Int64(count &- i), 0)) }
    return lanes_sum_wide(sums)
  }
}

private typealias Sixteen = SIMD16<Float>

@inline(__always)
private func each(
  _ x: UnsafePointer<Float>, into y: Floats, _ count: Int, _ f: (Sixteen) -> Sixteen
) {
  var i = 0
  while i &+ laneCount <= count {
    lanes_store(y + i, f(lanes_load(x + i)))
    i &+= laneCount
  }
  if i < count {
    let rest = Int64(count &- i)
    lanes_store_first(y + i, rest, f(lanes_load_first(x + i, rest, 1)))
  }
}

@inline(__always)
private func each(
  _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into y: Floats, _ count: Int,
  _ f: (Sixteen, Sixteen) -> Sixteen
) {
  var i = 0
  while i &+ laneCount <= count {
    lanes_store(y + i, f(lanes_load(a + i), lanes_load(b + i)))
    i &+= laneCount
  }
  if i < count {
    let rest = Int64(count &- i)
    lanes_store_first(y + i, rest, f(lanes_load_first(a + i, rest, 1), lanes_load_first(b + i, rest, 1)))
  }
}

@inline(__always)
private func each(
  _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ c: UnsafePointer<Float>, into y: Floats,
  _ count: Int,
  _ f: (Sixteen, Sixteen, Sixteen) -> Sixteen
) {
  var i = 0
  while i &+ laneCount <= count {
    lanes_store(y + i, f(lanes_load(a + i), lanes_load(b + i), lanes_load(c + i)))
    i &+= laneCount
  }
  if i < count {
    let rest = Int64(count &- i)
    let value = f(
      lanes_load_first(a + i, rest, 1), lanes_load_first(b + i, rest, 1), lanes_load_first(c + i, rest, 1))
    lanes_store_first(y + i, rest, value)
  }
}
