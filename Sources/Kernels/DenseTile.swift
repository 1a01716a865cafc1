internal import CLanes
internal import KernelInterface

/// Where a tile of sums reads and writes.
struct DenseTile {
  /// A's element (row, k) is at a[row · aRow + k · aStep].
  var a: UnsafePointer<Float>
  var aRow: Int
  var aStep: Int
  /// B's line k is at b + k · bStep.
  var b: UnsafePointer<Float>
  var bStep: Int
  var depth: Int
  var c: Floats
  var cRow: Int
  /// Whether the chains go on from what c holds.
  var continues = false
  /// What the first row is given, and the first activation.
  var bias: UnsafePointer<Float>?
  var rectify = false
  var activation: UnsafePointer<Float>?
  var activationRow = 0
  /// Sums of earlier terms, the topmost of a stack of ``DenseWork/slotFloats`` each, and how many of them are added.
  var addends: UnsafePointer<Float>?
  var additions = 0
}

// The shape of the tiles, made for the processor's registers: sums, a line of B, and one value of A. Thirty-two of 512
// bits hold 6 × 4 sums, sixteen of 256 bits 6 × 2, thirty-two of 128 bits 6 × 4, sixteen of 128 bits 2 × 4.
#if KERNELS_V4
  /// Rows of the highest tile.
  @inline(__always) var tileRows: Int { 6 }
  /// Vectors of sixteen columns in a panel of B.
  @inline(__always) var panelVectors: Int { 4 }
#elseif KERNELS_V2
  @inline(__always) var tileRows: Int { 2 }
  @inline(__always) var panelVectors: Int { 1 }
#else
  @inline(__always) var tileRows: Int { 6 }
  @inline(__always) var panelVectors: Int { 1 }
#endif

/// Columns of a panel of B.
@inline(__always) var panelColumns: Int { panelVectors &* laneCount }

extension DenseTile {
  /// Computes up to ``tileRows`` rows of up to ``panelVectors`` vectors of sixteen columns.
  @inline(__always)
  func compute(rows: Int, vectors: Int) {
    #if KERNELS_V4
      switch vectors {
      case 4: compute(rows, TileSums<1, 4>.self)
      case 3: compute(rows, TileSums<1, 3>.self)
      case 2: compute(rows, TileSums<1, 2>.self)
      default: compute(rows, TileSums<1, 1>.self)
      }
    #elseif KERNELS_V3
      compute(rows, TileSums<1, 2>.self)
    #else
      compute(rows, TileSums<1, 4>.self)
    #endif
  }

  /// The numbers of registers are parameters of types, so that every shape is a loop of its own, whatever the optimiser
  /// makes of the branches around it.
  ///
  /// - Parameter line: a tile of one row, for its number of registers.
  @inline(__always)
  private func compute<let registers: Int>(_ rows: Int, _ line: TileSums<1, registers>.Type) {
    switch rows {
    #if !KERNELS_V2
      case 6: TileSums<6, registers>.run(self)
      case 5: TileSums<5, registers>.run(self)
      case 4: TileSums<4, registers>.run(self)
      case 3: TileSums<3, registers>.run(self)
    #endif
    case 2: TileSums<2, registers>.run(self)
    default: line.run(self)
    }
  }
}

/// The sums of a tile, in registers.
struct TileSums<let rows: Int, let vectors: Int> {
  private typealias Line = InlineArray<vectors, Vector>

  @inline(never)
  static func run(_ t: DenseTile) {
    var sums = InlineArray<rows, Line>(repeating: Line(repeating: vector_splat(0)))
    if t.continues {
      for row in 0..<rows {
        for v in 0..<vectors { sums[row][v] = vector_load(t.c + (row &* t.cRow &+ v &* vectorWidth)) }
      }
    }
    var p = t.a
    var q = t.b
    let (aRow, aStep, bStep) = (t.aRow, t.aStep, t.bStep)
    var k = t.depth
    while k > 0 {
      var line = Line(repeating: vector_splat(0))
      for v in 0..<vectors { line[v] = vector_load(q + v &* vectorWidth) }
      for row in 0..<rows {
        let x = vector_splat(p[row &* aRow])
        for v in 0..<vectors { sums[row][v] = vector_fma(x, line[v], sums[row][v]) }
      }
      lanes_read_again()
      p += aStep
      q += bStep
      k &-= 1
    }
    if var addends = t.addends {
      for _ in 0..<t.additions {
        for row in 0..<rows {
          for v in 0..<vectors {
            sums[row][v] = vector_load(addends + (row &* panelColumns &+ v &* vectorWidth)) + sums[row][v]
          }
        }
        addends -= DenseWork.slotFloats
      }
    }
    if let bias = t.bias {
      for row in 0..<rows {
        let b = vector_splat(bias[row])
        for v in 0..<vectors { sums[row][v] += b }
      }
    }
    if t.rectify {
      for row in 0..<rows {
        for v in 0..<vectors { sums[row][v] = vector_max(sums[row][v], vector_splat(0)) }
      }
    }
    if let activation = t.activation {
      for row in 0..<rows {
        for v in 0..<vectors {
          sums[row][v] = vector_where_positive(
            vector_load(activation + (row &* t.activationRow &+ v &* vectorWidth)), sums[row][v])
        }
      }
    }
    for row in 0..<rows {
      for v in 0..<vectors { vector_store(t.c + (row &* t.cRow &+ v &* vectorWidth), sums[row][v]) }
    }
  }
}
