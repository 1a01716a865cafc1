internal import CLanes
public import KernelInterface

extension Kernels {
  @inline(never)
  public static func copyTile(_ tile: Floats, pixels: Int, lanes: Int, into map: FeatureMap, column: Int) {
    if lanes == laneCount {
      for pixel in 0..<pixels {
        lanes_store(map[pixel] + column, lanes_load(tile + pixel &* laneCount))
      }
    } else {
      for pixel in 0..<pixels {
        (map[pixel] + column).update(from: tile + pixel &* laneCount, count: lanes)
      }
    }
  }

  @inline(never)
  public static func distancesFromGram(
    _ line: Floats, own: Float, norms: UnsafePointer<Float>, from first: Int, to end: Int, squared: Bool,
    largest: inout Float
  ) {
    let zero = lanes_splat(0)
    let ownNorm = lanes_splat(own)
    let two = lanes_splat(-2)
    var most = zero
    var column = first
    while column &+ laneCount <= end {
      let sum = lanes_fma(two, lanes_load(line + column), ownNorm + lanes_load(norms + column))
      let distance = squared ? lanes_max(sum, zero) : lanes_sqrt(lanes_max(sum, zero))
      lanes_store(line + column, distance)
      most = lanes_max(distance, most)
      column &+= laneCount
    }
    if column < end {
      // The rest goes through one vector, so that an entry's bits do not depend on its place.
      var gram = zero
      var others = zero
      for lane in 0..<(end - column) {
        gram[lane] = line[column + lane]
        others[lane] = norms[column + lane]
      }
      let sum = lanes_fma(two, gram, ownNorm + others)
      let distance = squared ? lanes_max(sum, zero) : lanes_sqrt(lanes_max(sum, zero))
      for lane in 0..<(end - column) {
        line[column + lane] = distance[lane]
        most[lane] = max(most[lane], distance[lane])
      }
    }
    for lane in 0..<laneCount { largest = max(largest, most[lane]) }
  }

  @inline(never)
  public static func scaleAndSum(_ line: Floats, by factor: Float, from first: Int, to end: Int) -> Double {
    let scale = lanes_splat(factor)
    var sum = 0.0
    var partial = lanes_splat(0)
    var column = first
    while column &+ laneCount <= end {
      let value = lanes_load(line + column) * scale
      lanes_store(line + column, value)
      partial += value
      column &+= laneCount
    }
    while column < end {
      line[column] *= factor
      sum += Double(line[column])
      column &+= 1
    }
    return sum + lanes_sum(partial)
  }

  @inline(never)
  public static func dotProduct(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, count: Int) -> Double {
    var sum = lanes_splat(0)
    var i = 0
    while i < count {
      sum = lanes_fma(lanes_load(a + i), lanes_load(b + i), sum)
      i &+= laneCount
    }
    return lanes_sum(sum)
  }

  @inline(never)
  public static func addProduct(
    _ factor: Float, _ source: UnsafePointer<Float>, to target: Floats, count: Int
  ) {
    let f = lanes_splat(factor)
    var i = 0
    while i < count {
      lanes_store(target + i, lanes_fma(f, lanes_load(source + i), lanes_load(target + i)))
      i &+= laneCount
    }
  }

  @inline(never)
  public static func mirrorUpperTriangle(_ matrix: Floats, rows: Int, stride: Int) {
    var row = 0
    while row < rows {
      let lines = min(vectorWidth, rows &- row)
      // The square on the diagonal, then whole squares of it below.
      for i in 0..<lines {
        for j in 0..<i { matrix[(row &+ i) &* stride &+ row &+ j] = matrix[(row &+ j) &* stride &+ row &+ i] }
      }
      var column = row &+ vectorWidth
      while column < rows {
        let columns = min(vectorWidth, rows &- column)
        let source = matrix + (row &* stride &+ column)
        let target = matrix + (column &* stride &+ row)
        if lines == vectorWidth && columns == vectorWidth {
          vector_transpose(source, Int64(stride), Int32(lines), target, Int64(stride))
        } else {
          for i in 0..<lines {
            for j in 0..<columns { target[j &* stride &+ i] = source[i &* stride &+ j] }
          }
        }
        column &+= vectorWidth
      }
      row &+= vectorWidth
    }
  }

  @inline(never)
  public static func softmax(_ map: FeatureMap, scale: Float, into result: FeatureMap) {
    logSoftmax(map, scale: scale, into: result)
    for feature in 0..<result.features {
      var column = 0
      while column < result.columns {
        lanes_store(result[feature] + column, lanes_exp(lanes_load(result[feature] + column)))
        column &+= laneCount
      }
    }
  }

  @inline(never)
  public static func softmaxGradient(_ gradient: FeatureMap, probabilities p: FeatureMap, scale: Float) {
    let s = lanes_splat(scale)
    var column = 0
    while column < gradient.columns {
      var inner = lanes_splat(0)
      for feature in 0..<gradient.features {
        inner = lanes_fma(lanes_load(p[feature] + column), lanes_load(gradient[feature] + column), inner)
      }
      for feature in 0..<gradient.features {
        let line = gradient[feature] + column
        lanes_store(line, lanes_load(p[feature] + column) * (lanes_load(line) - inner) * s)
      }
      column &+= laneCount
    }
  }
}
