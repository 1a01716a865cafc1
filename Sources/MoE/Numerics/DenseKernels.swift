internal import CLanes

/// max(0, ·) of every value, in place.
package func rectify(_ map: FeatureMap) {
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

/// Adds a map to another of the same size.
package func add(_ source: FeatureMap, to target: FeatureMap) {
  for feature in 0..<target.features { add(source[feature], to: target[feature], count: target.columns) }
}

/// The gradient of a bias: the sum of its feature's gradient over the rows.
package func biasGradient(_ gradient: FeatureMap, into bias: Floats) {
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

/// ln softmax over the features of every row, of the values times `scale`; in place when `result` is the same map.
package func logSoftmax(_ map: FeatureMap, scale: Float, into result: FeatureMap) {
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

/// The gradient before ln softmax from the gradient after it: dz = dy − e^y · Σ dy. In place.
package func logSoftmaxGradient(_ gradient: FeatureMap, logProbabilities: FeatureMap) {
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

/// p = e^(ln p) for every entry, and per row the entropy −Σ p ln p in nats.
package func probabilities(
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

/// Adds a buffer to another, element by element.
package func add(_ source: UnsafePointer<Float>, to target: Floats, count: Int) {
  add(target, source, into: target, count: count)
}

/// The sum of two buffers, element by element; the result may be one of them.
package func add(
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
