/// One product A·B among those that a dense product sums.
public struct DenseTerm {
  /// A's element (row, k) is at a[row · aRow + k · aStep].
  public let a: UnsafePointer<Float>
  /// Floats from a row of A to the next.
  public let aRow: Int
  /// Floats from a k of A to the next.
  public let aStep: Int
  /// B's element (k, column) is at b[k · bStep + column · bColumn]; one of the two steps is 1.
  public let b: UnsafePointer<Float>
  /// Floats from a k of B to the next.
  public let bStep: Int
  /// Floats from a column of B to the next.
  public let bColumn: Int
  /// Values of k.
  public let depth: Int
  /// How often the two topmost sums are added once this product's is on the stack.
  public let additions: Int

  /// A product over `depth` values of k; the steps are in floats.
  @inlinable @inline(__always)
  public init(
    a: UnsafePointer<Float>, aRow: Int, aStep: Int, b: UnsafePointer<Float>, bStep: Int, bColumn: Int,
    depth: Int, additions: Int = 0
  ) {
    self.a = a
    self.aRow = aRow
    self.aStep = aStep
    self.b = b
    self.bStep = bStep
    self.bColumn = bColumn
    self.depth = depth
    self.additions = additions
  }
}

/// C[rows][columns] = Σ A·B over a few products, and what happens to an element on its way to memory.
///
/// Within a product every element is one chain c ← a·b + c over ascending k, begun at 0, each link one fused
/// multiply-add; the products' sums are added along a tree. So an element's bits depend on its rows of A and columns of B
/// alone, however a level cuts the work.
public struct DenseWork {
  /// Ascending; at least one.
  public var terms: UnsafePointer<DenseTerm>
  /// How many products are summed.
  public var termCount: Int
  /// Rows of C, and of every A.
  public var rows: Int
  /// Columns of C, and of every B.
  public var columns: Int
  /// Which part of C to compute, from 0: threads take one each.
  public var share = 0
  /// Of how many parts.
  public var shares = 1
  /// Added to every element of a row: a bias per feature.
  public var bias: UnsafePointer<Float>?
  /// Whether max(0, ·) is taken.
  public var rectify = false
  /// Activations, activation[row · stride + column]; an element becomes 0 where its activation is not positive.
  public var activation: UnsafePointer<Float>?
  /// Floats from a row of the activations to the next.
  public var activationStride = 0
  /// Only elements on and above the diagonal are wanted; what is written below it is not said.
  public var upperTriangle = false
  /// C is stored transposed, element (row, column) at c[column · cStride + row]; without bias, rectify and activation.
  public var transposed = false
  /// C; element (row, column) is at c[row · cStride + column] unless C is stored transposed.
  public var c: Floats
  /// Floats from a line of C in memory to the next.
  public var cStride: Int
  /// Whether c has room for whole vectors of columns, so that what is behind the last column may be overwritten.
  public var padded: Bool
  /// For packed operands and sums on the way.
  public var memory: Floats
  /// Floats of that memory, see ``memoryFloats(depth:columns:terms:)``.
  public var memoryFloats: Int

  /// The whole of C, plain: what happens to an element beside is set afterwards.
  public init(
    terms: UnsafePointer<DenseTerm>, termCount: Int, rows: Int, columns: Int, c: Floats, cStride: Int,
    padded: Bool, memory: Floats, memoryFloats: Int
  ) {
    self.terms = terms
    self.termCount = termCount
    self.rows = rows
    self.columns = columns
    self.c = c
    self.cStride = cStride
    self.padded = padded
    self.memory = memory
    self.memoryFloats = memoryFloats
  }

  /// Floats of memory with which every level works well, for products of this size.
  ///
  /// - Parameters:
  ///   - depth: Σ of the terms'.
  ///   - columns: of C.
  ///   - terms: how many.
  public static func memoryFloats(depth: Int, columns: Int, terms: Int) -> Int {
    let panel = widestPanel * depth
    let panels = (columns + widestPanel - 1) / widestPanel
    let packedB = min(panels * panel, max(groupFloats, panel))
    let packedA = strip * min(depth, longestBlock)
    return packedB + packedA + (stackSlots(terms: terms) + 1) * slotFloats + strip * widestPanel
      + 4 * laneCount
  }

  /// Columns of the widest panel of B that a level takes.
  public static var widestPanel: Int { 4 * laneCount }
  /// Rows of A that are worked on together, whole tiles of them on every level.
  @inlinable @inline(__always) public static var strip: Int { 48 }
  /// Floats of packed panels that a core's second cache holds.
  @inlinable @inline(__always) public static var groupFloats: Int { 176 * 1024 }
  /// Values of k that are worked on together at most.
  @inlinable @inline(__always) public static var longestBlock: Int { 576 }
  /// Floats of the largest tile of sums.
  @inlinable @inline(__always) public static var slotFloats: Int { 512 }

  /// Sums that wait for their sibling at most.
  @inlinable @inline(__always)
  public static func stackSlots(terms: Int) -> Int {
    Int.bitWidth - max(terms - 1, 0).leadingZeroBitCount
  }
}
