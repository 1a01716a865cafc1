internal import CLanes
public import KernelInterface

// Work per row of a feature map: a lane is a row, so that its bits do not depend on the rows beside it.

extension Kernels {
  @inline(never)
  public static func sumOverFeatures(_ map: FeatureMap, into sums: Floats) {
    var column = 0
    while column < map.columns {
      var sum = lanes_splat(0)
      for feature in 0..<map.features { sum += lanes_load(map[feature] + column) }
      store(sum, to: sums, at: column, of: map.rows)
      column &+= laneCount
    }
  }

  @inline(never)
  public static func dotPerRow(_ a: FeatureMap, _ b: FeatureMap, into products: Floats) {
    var column = 0
    while column < a.columns {
      var sum = lanes_splat(0)
      for feature in 0..<a.features {
        sum = lanes_fma(lanes_load(a[feature] + column), lanes_load(b[feature] + column), sum)
      }
      store(sum, to: products, at: column, of: a.rows)
      column &+= laneCount
    }
  }

  @inline(never)
  public static func scaleRows(_ map: FeatureMap, by factors: UnsafePointer<Float>, into result: FeatureMap) {
    var column = 0
    while column < map.columns {
      let rows = min(laneCount, map.rows &- column)
      let factor = lanes_load_first(factors + column, Int64(rows), 0)
      for feature in 0..<map.features {
        let value = lanes_load(map[feature] + column) * factor
        lanes_store(result[feature] + column, lanes_keep(value, Int32(rows)))
      }
      column &+= laneCount
    }
  }
}

/// Stores a vector of rows in a line that ends with the last row.
@inline(__always)
private func store(_ value: SIMD16<Float>, to line: Floats, at column: Int, of rows: Int) {
  if column &+ laneCount <= rows {
    lanes_store(line + column, value)
  } else {
    lanes_store_first(line + column, Int64(rows &- column), value)
  }
}
