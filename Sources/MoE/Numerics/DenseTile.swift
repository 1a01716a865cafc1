internal import CLanes

/// What happens to the elements of a product on their way to memory.
struct DenseFinish {
  /// Added to every element of a row: a bias per feature.
  var bias: UnsafePointer<Float>?
  /// Whether max(0, ·) is taken.
  var rectify = false
  /// Activations of the result's shape; an element becomes 0 where its activation is not positive.
  var activation: FeatureMap?
}

/// A few rows and vectors of C = A·B, summed in registers.
///
/// Every element is one chain c ← a·b + c over ascending k, begun at 0, each link one fused multiply-add (a product and
/// a sum in builds without FMA): its bits depend on nothing but its row of A and its column of B.
struct DenseTile {
  /// A's element (row, k) is at a[row · aRow + k · aStep].
  let a: UnsafePointer<Float>
  let aRow: Int
  let aStep: Int
  /// B's element (k, column) is at b[k · bStep + column].
  let b: UnsafePointer<Float>
  let bStep: Int
  let depth: Int
  let c: Floats
  let cRow: Int
  /// What the first row is given, and the first activation.
  let bias: UnsafePointer<Float>?
  let rectify: Bool
  let activation: UnsafePointer<Float>?
  let activationRow: Int

  /// Rows that one call computes at most.
  static var rows: Int { Int(lanes_tile_rows()) }
  /// Vectors of sixteen columns in a panel of B.
  static let panelVectors = 4

  /// Computes up to ``rows`` rows of up to ``panelVectors`` vectors.
  func compute(rows: Int, vectors: Int) {
    if lanes_tile_vectors() == 1 {
      for vector in 0..<vectors { computeColumn(rows: rows, vector: vector) }
      return
    }
    switch vectors {
    case 4: computeRows(rows, vectors: 4)
    case 3: computeRows(rows, vectors: 3)
    case 2: computeRows(rows, vectors: 2)
    default: computeRows(rows, vectors: 1)
    }
  }

  private func computeColumn(rows: Int, vector: Int) {
    let offset = vector &* laneCount
    DenseTile(
      a: a, aRow: aRow, aStep: aStep, b: b + offset, bStep: bStep, depth: depth, c: c + offset, cRow: cRow,
      bias: bias, rectify: rectify, activation: activation.map { $0 + offset }, activationRow: activationRow
    ).computeRows(rows, vectors: 1)
  }

  // The constants reach the loop by inlining, so each shape becomes a loop of its own without branches.
  @inline(__always)
  private func computeRows(_ rows: Int, vectors: Int) {
    switch rows {
    case 6: run(rows: 6, vectors: vectors)
    case 5: run(rows: 5, vectors: vectors)
    case 4: run(rows: 4, vectors: vectors)
    case 3: run(rows: 3, vectors: vectors)
    case 2: run(rows: 2, vectors: vectors)
    default: run(rows: 1, vectors: vectors)
    }
  }

  @inline(__always)
  private func run(rows: Int, vectors: Int) {
    var s0 = DenseSums()
    var s1 = DenseSums()
    var s2 = DenseSums()
    var s3 = DenseSums()
    var s4 = DenseSums()
    var s5 = DenseSums()
    var p = a
    var q = b
    var k = depth
    while k > 0 {
      let line = DenseLine(q, vectors: vectors)
      s0.add(p[0], line, vectors: vectors)
      if rows > 1 { s1.add(p[aRow], line, vectors: vectors) }
      if rows > 2 { s2.add(p[2 &* aRow], line, vectors: vectors) }
      if rows > 3 { s3.add(p[3 &* aRow], line, vectors: vectors) }
      if rows > 4 { s4.add(p[4 &* aRow], line, vectors: vectors) }
      if rows > 5 { s5.add(p[5 &* aRow], line, vectors: vectors) }
      p += aStep
      q += bStep
      k &-= 1
    }
    store(s0, row: 0, vectors: vectors)
    if rows > 1 { store(s1, row: 1, vectors: vectors) }
    if rows > 2 { store(s2, row: 2, vectors: vectors) }
    if rows > 3 { store(s3, row: 3, vectors: vectors) }
    if rows > 4 { store(s4, row: 4, vectors: vectors) }
    if rows > 5 { store(s5, row: 5, vectors: vectors) }
  }

  @inline(__always)
  private func store(_ sums: DenseSums, row: Int, vectors: Int) {
    let target = c + row &* cRow
    @inline(__always) func put(_ value: SIMD16<Float>, _ vector: Int) {
      var value = value
      if let bias {
        value += lanes_splat(bias[row])
        if rectify { value = lanes_max(value, lanes_splat(0)) }
      }
      if let activation {
        value = lanes_where_positive(
          lanes_load(activation + (row &* activationRow &+ vector &* laneCount)), value)
      }
      lanes_store(target + vector &* laneCount, value)
    }
    put(sums.v0, 0)
    if vectors > 1 { put(sums.v1, 1) }
    if vectors > 2 { put(sums.v2, 2) }
    if vectors > 3 { put(sums.v3, 3) }
  }
}

/// Sums of one row of a tile.
private struct DenseSums {
  var v0 = SIMD16<Float>()
  var v1 = SIMD16<Float>()
  var v2 = SIMD16<Float>()
  var v3 = SIMD16<Float>()

  @inline(__always)
  mutating func add(_ a: Float, _ line: DenseLine, vectors: Int) {
    let a = lanes_splat(a)
    v0 = lanes_fma(a, line.v0, v0)
    if vectors > 1 { v1 = lanes_fma(a, line.v1, v1) }
    if vectors > 2 { v2 = lanes_fma(a, line.v2, v2) }
    if vectors > 3 { v3 = lanes_fma(a, line.v3, v3) }
  }
}

/// The columns of B that one step of the sums needs.
private struct DenseLine {
  let v0, v1, v2, v3: SIMD16<Float>

  @inline(__always)
  init(_ p: UnsafePointer<Float>, vectors: Int) {
    v0 = lanes_load(p)
    v1 = vectors > 1 ? lanes_load(p + laneCount) : lanes_splat(0)
    v2 = vectors > 2 ? lanes_load(p + 2 &* laneCount) : lanes_splat(0)
    v3 = vectors > 3 ? lanes_load(p + 3 &* laneCount) : lanes_splat(0)
  }
}
