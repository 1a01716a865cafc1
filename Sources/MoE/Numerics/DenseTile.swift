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
  /// Sums of earlier blocks, the topmost of a stack of ``slotFloats`` each, and how many of them are added.
  let addends: UnsafePointer<Float>?
  let additions: Int

  /// Rows that one call computes at most.
  static var rows: Int { Int(lanes_tile_rows()) }
  /// Vectors of sixteen columns in a panel of B.
  static let panelVectors = 4
  /// Columns of a panel.
  static let panelColumns = panelVectors * laneCount
  /// Floats of a whole tile, rows of ``panelColumns``.
  static var slotFloats: Int { rows * panelColumns }

  /// Computes up to ``rows`` rows of up to ``panelVectors`` vectors.
  func compute(rows: Int, vectors: Int) {
    if lanes_tile_vectors() == 1 {
      for vector in 0..<vectors { column(vector).computeRows(rows, vectors: 1) }
    } else {
      computeRows(rows, vectors: vectors)
    }
  }

  private func column(_ vector: Int) -> DenseTile {
    let offset = vector &* laneCount
    return DenseTile(
      a: a, aRow: aRow, aStep: aStep, b: b + offset, bStep: bStep, depth: depth, c: c + offset, cRow: cRow,
      bias: bias, rectify: rectify, activation: activation.map { $0 + offset }, activationRow: activationRow,
      addends: addends.map { $0 + offset }, additions: additions)
  }

  @inline(__always)
  private func computeRows(_ rows: Int, vectors: Int) {
    switch rows {
    case 6: computeSix(vectors)
    case 5: computeFive(vectors)
    case 4: computeFour(vectors)
    case 3: computeThree(vectors)
    case 2: computeTwo(vectors)
    default: computeOne(vectors)
    }
  }

  // The constants reach the loop by inlining, so each shape becomes a loop of its own without branches. A function per
  // number of rows, because the compiler stops inlining into one that has grown too large, and a shape that is left out
  // asks for its rows and vectors at every step.
  @inline(never) private func computeSix(_ vectors: Int) { compute(6, vectors) }
  @inline(never) private func computeFive(_ vectors: Int) { compute(5, vectors) }
  @inline(never) private func computeFour(_ vectors: Int) { compute(4, vectors) }
  @inline(never) private func computeThree(_ vectors: Int) { compute(3, vectors) }
  @inline(never) private func computeTwo(_ vectors: Int) { compute(2, vectors) }
  @inline(never) private func computeOne(_ vectors: Int) { compute(1, vectors) }

  @inline(__always)
  private func compute(_ rows: Int, _ vectors: Int) {
    switch vectors {
    case 4: run(rows: rows, vectors: 4)
    case 3: run(rows: rows, vectors: 3)
    case 2: run(rows: rows, vectors: 2)
    default: run(rows: rows, vectors: 1)
    }
  }

  @inline(__always)
  private func run(rows: Int, vectors: Int) {
    var sums = TileSums()
    var p = a
    var q = b
    var k = depth
    while k > 0 {
      let line = DenseLine(q, vectors: vectors)
      sums.row0.add(p[0], line, vectors: vectors)
      if rows > 1 { sums.row1.add(p[aRow], line, vectors: vectors) }
      if rows > 2 { sums.row2.add(p[2 &* aRow], line, vectors: vectors) }
      if rows > 3 { sums.row3.add(p[3 &* aRow], line, vectors: vectors) }
      if rows > 4 { sums.row4.add(p[4 &* aRow], line, vectors: vectors) }
      if rows > 5 { sums.row5.add(p[5 &* aRow], line, vectors: vectors) }
      p += aStep
      q += bStep
      k &-= 1
    }
    // What is done to whole tiles comes before the stores: a condition per vector would make the kernel too large for the
    // compiler to inline its constants.
    if additions > 0, let addends {
      for addition in 0..<additions {
        let slot = addends - addition &* DenseTile.slotFloats
        sums.forEach(rows) { $0.add(below: slot + $1 &* DenseTile.panelColumns, vectors: vectors) }
      }
    }
    if let bias { sums.forEach(rows) { $0.add(lanes_splat(bias[$1])) } }
    if rectify { sums.forEach(rows) { sums, _ in sums.rectify() } }
    if let activation {
      sums.forEach(rows) { $0.keep(where: activation + $1 &* activationRow, vectors: vectors) }
    }
    sums.forEach(rows) { $0.store(c + $1 &* cRow, vectors: vectors) }
  }
}

/// The sums of a tile.
private struct TileSums {
  var row0 = DenseSums()
  var row1 = DenseSums()
  var row2 = DenseSums()
  var row3 = DenseSums()
  var row4 = DenseSums()
  var row5 = DenseSums()

  @inline(__always)
  mutating func forEach(_ rows: Int, _ body: (inout DenseSums, Int) -> Void) {
    body(&row0, 0)
    if rows > 1 { body(&row1, 1) }
    if rows > 2 { body(&row2, 2) }
    if rows > 3 { body(&row3, 3) }
    if rows > 4 { body(&row4, 4) }
    if rows > 5 { body(&row5, 5) }
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

  /// The sums of an earlier block, and these behind them.
  @inline(__always)
  mutating func add(below p: UnsafePointer<Float>, vectors: Int) {
    let line = DenseLine(p, vectors: vectors)
    v0 = line.v0 + v0
    v1 = line.v1 + v1
    v2 = line.v2 + v2
    v3 = line.v3 + v3
  }

  @inline(__always)
  mutating func add(_ bias: SIMD16<Float>) {
    v0 += bias
    v1 += bias
    v2 += bias
    v3 += bias
  }

  @inline(__always)
  mutating func rectify() {
    let zero = lanes_splat(0)
    v0 = lanes_max(v0, zero)
    v1 = lanes_max(v1, zero)
    v2 = lanes_max(v2, zero)
    v3 = lanes_max(v3, zero)
  }

  /// Zero where the activation is not positive.
  @inline(__always)
  mutating func keep(where p: UnsafePointer<Float>, vectors: Int) {
    let line = DenseLine(p, vectors: vectors)
    v0 = lanes_where_positive(line.v0, v0)
    v1 = lanes_where_positive(line.v1, v1)
    v2 = lanes_where_positive(line.v2, v2)
    v3 = lanes_where_positive(line.v3, v3)
  }

  @inline(__always)
  func store(_ p: Floats, vectors: Int) {
    lanes_store(p, v0)
    if vectors > 1 { lanes_store(p + laneCount, v1) }
    if vectors > 2 { lanes_store(p + 2 &* laneCount, v2) }
    if vectors > 3 { lanes_store(p + 3 &* laneCount, v3) }
  }
}

/// The vectors of a line of B, or of another matrix, that lie beside a row's sums; zero behind them.
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
