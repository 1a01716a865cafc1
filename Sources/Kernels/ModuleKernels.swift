internal import CLanes
public import KernelInterface

extension Kernels {
  @inline(never)
  public static func affine(
    _ x: UnsafePointer<Float>, scale: Float, shift: Float, into result: Floats, count: Int
  ) {
    let (a, b) = (lanes_splat(scale), lanes_splat(shift))
    var i = 0
    while i < count {
      lanes_store(result + i, lanes_fma(a, lanes_load(x + i), b))
      i &+= laneCount
    }
  }

  @inline(never)
  public static func affineGradient(
    _ g: UnsafePointer<Float>, _ x: UnsafePointer<Float>, factor: Float, slope: Float, constant: Float,
    into result: Floats, count: Int
  ) {
    let (f, s, c) = (lanes_splat(factor), lanes_splat(slope), lanes_splat(constant))
    var i = 0
    while i < count {
      lanes_store(result + i, lanes_fma(f, lanes_load(g + i), lanes_fma(s, lanes_load(x + i), c)))
      i &+= laneCount
    }
  }

  @inline(never)
  public static func largest(
    _ values: (UnsafePointer<Float>, UnsafePointer<Float>, UnsafePointer<Float>, UnsafePointer<Float>),
    into result: Floats, which: UnsafeMutablePointer<UInt8>, count: Int
  ) {
    var i = 0
    while i < count {
      lanes_store(
        result + i,
        lanes_pool(
          lanes_load(values.0 + i), lanes_load(values.1 + i), lanes_load(values.2 + i),
          lanes_load(values.3 + i), which + i))
      i &+= laneCount
    }
  }

  @inline(never)
  public static func spreadLargest(
    _ gradient: UnsafePointer<Float>, which: UnsafePointer<UInt8>,
    into targets: (Floats, Floats, Floats, Floats), count: Int
  ) {
    var i = 0
    while i < count {
      let g = lanes_load(gradient + i)
      let choice = lanes_load_which(which + i)
      lanes_store(targets.0 + i, lanes_where_equal(choice, 0, g))
      lanes_store(targets.1 + i, lanes_where_equal(choice, 1, g))
      lanes_store(targets.2 + i, lanes_where_equal(choice, 2, g))
      lanes_store(targets.3 + i, lanes_where_equal(choice, 3, g))
      i &+= laneCount
    }
  }

  @inline(never)
  public static func writeRows(_ map: FeatureMap, into rows: Floats) {
    var column = 0
    while column < map.rows {
      let lanes = min(laneCount, map.rows &- column)
      for feature in 0..<map.features {
        let line = map[feature] + column
        for lane in 0..<lanes { rows[(column &+ lane) &* map.features &+ feature] = line[lane] }
      }
      column &+= laneCount
    }
  }

  @inline(never)
  public static func readRows(
    _ rows: UnsafePointer<UnsafePointer<Float>>, into map: FeatureMap, column: Int
  ) {
    for feature in 0..<map.features {
      let line = map[feature] + column
      for lane in 0..<laneCount { line[lane] = rows[lane][feature] }
    }
  }
}
