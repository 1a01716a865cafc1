internal import CLanes
public import KernelInterface

extension Kernels {
  @inline(never)
  public static func rectify(_ map: FeatureMap) {
    let zero = lanes_splat(0)
    for feature in 0..<map.features {
      let line = map[feature]
      var column = 0
      while column < map.columns {
        lanes_store(line + column, lanes_max(lanes_load(line + column), zero))
        column &+= laneCount
      }
    }
  }

  @inline(never)
  public static func addBias(_ bias: UnsafePointer<Float>, to map: FeatureMap) {
    for feature in 0..<map.features {
      let b = lanes_splat(bias[feature])
      let line = map[feature]
      var column = 0
      while column < map.columns {
        lanes_store(line + column, lanes_load(line + column) + b)
        column &+= laneCount
      }
    }
  }

  @inline(never)
  public static func keepWherePositive(_ activation: FeatureMap, in map: FeatureMap) {
    for feature in 0..<map.features {
      let line = map[feature]
      var column = 0
      while column < map.columns {
        lanes_store(
          line + column,
          lanes_where_positive(lanes_load(activation[feature] + column), lanes_load(line + column)))
        column &+= laneCount
      }
    }
  }

  @inline(never)
  public static func add(_ source: FeatureMap, to target: FeatureMap) {
    for feature in 0..<target.features { add(source[feature], to: target[feature], count: target.columns) }
  }

  @inline(never)
  public static func biasGradient(_ gradient: FeatureMap, into bias: Floats) {
    for feature in 0..<gradient.features {
      let line = gradient[feature]
      var sum = lanes_splat(0)
      var column = 0
      while column < gradient.columns {
        sum += lanes_load(line + column)
        column &+= laneCount
      }
      bias[feature] = Float(lanes_sum(sum))
    }
  }

  @inline(never)
  public static func logSoftmax(_ map: FeatureMap, scale: Float, into result: FeatureMap) {
    let s = lanes_splat(scale)
    var column = 0
    while column < map.columns {
      var largest = lanes_load(map[0] + column) * s
      for feature in 1..<max(map.features, 1) {
        let value = lanes_load(map[feature] + column) * s
        largest = lanes_max(value, largest)
      }
      var sum = lanes_splat(0)
      for feature in 0..<map.features {
        sum += lanes_exp(lanes_load(map[feature] + column) * s - largest)
      }
      let normaliser = largest + lanes_log(sum)
      for feature in 0..<map.features {
        lanes_store(result[feature] + column, lanes_load(map[feature] + column) * s - normaliser)
      }
      column &+= laneCount
    }
  }

  @inline(never)
  public static func logSoftmaxGradient(_ gradient: FeatureMap, logProbabilities: FeatureMap) {
    var column = 0
    while column < gradient.columns {
      var sum = lanes_splat(0)
      for feature in 0..<gradient.features { sum += lanes_load(gradient[feature] + column) }
      for feature in 0..<gradient.features {
        let y = lanes_exp(lanes_load(logProbabilities[feature] + column))
        let g = gradient[feature] + column
        lanes_store(g, lanes_load(g) - y * sum)
      }
      column &+= laneCount
    }
  }

  @inline(never)
  public static func probabilities(
    of logProbabilities: FeatureMap, into result: FeatureMap, entropies: Floats
  ) {
    let lowest = lanes_splat(-103)
    var column = 0
    while column < logProbabilities.columns {
      var sum = lanes_splat(0)
      for feature in 0..<logProbabilities.features {
        let logP = lanes_load(logProbabilities[feature] + column)
        let p = lanes_exp(logP)
        lanes_store(result[feature] + column, p)
        // p is zero long before ln p is that small; the bound keeps 0 · −∞ out of the sum, and NaN in it.
        sum -= p * lanes_at_least(logP, lowest)
      }
      lanes_store(entropies + column, sum)
      column &+= laneCount
    }
  }

  @inline(never)
  public static func add(_ source: UnsafePointer<Float>, to target: Floats, count: Int) {
    add(target, source, into: target, count: count)
  }

  @inline(never)
  public static func add(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into sum: Floats, count: Int
  ) {
    var i = 0
    while i &+ laneCount <= count {
      lanes_store(sum + i, lanes_load(a + i) + lanes_load(b + i))
      i &+= laneCount
    }
    while i < count {
      sum[i] = a[i] + b[i]
      i &+= 1
    }
  }
}
