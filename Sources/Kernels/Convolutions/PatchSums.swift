internal import CLanes
public import KernelInterface

// First and second moments of the 3×3 patches of a batch.
//
// A pair of taps (r, c), (r + dy, c + dx) sums x(i + r, j + c) · x(i + r + dy, j + c + dx) over all positions (i, j). All
// pairs with the same lag (dy, dx) share the products; they differ by the window of them that is summed. So 13 lags serve
// all 45 pairs. The windows of a row of pixels differ by a column or two at the ends, and most rows belong to the windows
// of all r: what is shared is summed once, and a row of pixels is read once for all lags.

/// The windows of a row: three of x, then one per lag and tap.
@inline(__always) private var windows: Int { 27 }

extension Kernels {
  @inline(never)
  public static func addPatchMoments(
    _ tiles: Tiles, _ shape: ConvolutionShape, to sums: UnsafeMutablePointer<Double>, memory: Floats
  ) {
    let pairs = memory
    // Of the rows of pixels that belong to the windows of all r, and of one that does not.
    let inner = pairs + PatchSums.count &* laneCount
    let outer = inner + windows &* laneCount
    let shared = outer + windows &* laneCount
    for tile in 0..<tiles.count {
      clear(pairs, count: (PatchSums.count &+ windows) &* laneCount)
      for y in 0..<shape.height {
        let line = UnsafePointer(tiles[tile] + y &* shape.width &* laneCount)
        // Rows r of the patches that this row of pixels is.
        let firstRow = max(0, y &- (shape.convolvedHeight &- 1))
        let isInner = firstRow == 0 && y >= 2
        if !isInner { clear(outer, count: windows &* laneCount) }
        for part in 0..<parts {
          let offset = part &* vectorWidth
          addRow(line + offset, shape, y, shared, to: (isInner ? inner : outer) + offset)
        }
        if !isInner { distribute(outer, from: firstRow, through: min(2, y), to: pairs) }
      }
      distribute(inner, from: 0, through: 2, to: pairs)
      for i in 0..<PatchSums.count { sums[i] += lanes_sum(lanes_load(pairs + i &* laneCount)) }
    }
  }
}

/// Adds what a row of pixels gives every window, one register of lanes.
@inline(__always)
private func addRow(
  _ x: UnsafePointer<Float>, _ shape: ConvolutionShape, _ y: Int, _ shared: Floats, to windows: Floats
) {
  let row = shape.width &* laneCount
  let columns = shape.convolvedWidth &* laneCount
  // What lies below the image is not read; nobody asks for those sums.
  let below = y &+ 1 < shape.height ? x + row : x
  let next = y &+ 2 < shape.height ? x + 2 &* row : x
  sumRow(x, below, next, columns, into: shared)
  // The two columns of a tap's window that are not shared by all.
  @inline(__always) func ends(_ tap: Int) -> (Int, Int) {
    tap == 0 ? (0, laneCount) : tap == 1 ? (laneCount, columns) : (columns, columns &+ laneCount)
  }
  var target = windows
  @inline(__always) func addMean(_ tap: Int) {
    let (a, b) = ends(tap)
    add(vector_load(shared) + vector_load(x + a) + vector_load(x + b), to: target)
    target += laneCount
  }
  @inline(__always) func addLag(_ index: Int, _ partner: UnsafePointer<Float>, _ dx: Int, _ tap: Int) {
    let (a, b) = ends(tap)
    let other = partner + dx &* laneCount
    let sum = vector_fma(
      vector_load(x + a), vector_load(other + a), vector_load(shared + index &* vectorWidth))
    add(vector_fma(vector_load(x + b), vector_load(other + b), sum), to: target)
    target += laneCount
  }
  addMean(0)
  addMean(1)
  addMean(2)
  addLag(1, x, 0, 0)
  addLag(1, x, 0, 1)
  addLag(1, x, 0, 2)
  addLag(2, x, 1, 0)
  addLag(2, x, 1, 1)
  addLag(3, x, 2, 0)
  @inline(__always) func addLags(_ first: Int, _ partner: UnsafePointer<Float>) {
    addLag(first, partner, -2, 2)
    addLag(first &+ 1, partner, -1, 1)
    addLag(first &+ 1, partner, -1, 2)
    addLag(first &+ 2, partner, 0, 0)
    addLag(first &+ 2, partner, 0, 1)
    addLag(first &+ 2, partner, 0, 2)
    addLag(first &+ 3, partner, 1, 0)
    addLag(first &+ 3, partner, 1, 1)
    addLag(first &+ 4, partner, 2, 0)
  }
  addLags(4, below)
  addLags(9, next)
}

/// Adds the windows' sums to the pairs that they are windows of, for some rows r of the patches.
@inline(never)
private func distribute(_ sums: Floats, from firstRow: Int, through lastRow: Int, to pairs: Floats) {
  @inline(__always) func add(_ sum: Floats, to pair: Int) {
    let p = pairs + pair &* laneCount
    lanes_store(p, lanes_load(p) + lanes_load(sum))
  }
  var sum = sums
  for tap in 0..<3 {
    for r in firstRow...lastRow { add(sum, to: 3 &* r &+ tap) }
    sum += laneCount
  }
  for dy in 0..<3 {
    for dx in (dy == 0 ? 0 : -2)...2 {
      for tap in max(0, -dx)...min(2, 2 &- dx) {
        var r = firstRow
        while r <= min(lastRow, 2 &- dy) {
          let second = 3 &* (r &+ dy) &+ tap &+ dx
          add(sum, to: 9 &+ PatchSums.triangle(3 &* r &+ tap, second))
          r &+= 1
        }
        sum += laneCount
      }
    }
  }
}

/// What the windows of all taps share of a row, from the third column to the last output's: Σ x, and Σ x·x' per lag.
///
/// - Parameter end: where the columns end, in floats.
@inline(__always)
private func sumRow(
  _ x: UnsafePointer<Float>, _ below: UnsafePointer<Float>, _ next: UnsafePointer<Float>, _ end: Int,
  into sums: Floats
) {
  let zero = vector_splat(0)
  var (total, a0, a1, a2) = (zero, zero, zero, zero)
  var (b0, b1, b2, b3, b4) = (zero, zero, zero, zero, zero)
  var (c0, c1, c2, c3, c4) = (zero, zero, zero, zero, zero)
  var place = 2 &* laneCount
  while place < end {
    let value = vector_load(x + place)
    let b = below + place
    let c = next + place
    total += value
    a0 = vector_fma(value, value, a0)
    a1 = vector_fma(value, vector_load(x + place + laneCount), a1)
    a2 = vector_fma(value, vector_load(x + place + 2 &* laneCount), a2)
    b0 = vector_fma(value, vector_load(b - 2 &* laneCount), b0)
    b1 = vector_fma(value, vector_load(b - laneCount), b1)
    b2 = vector_fma(value, vector_load(b), b2)
    b3 = vector_fma(value, vector_load(b + laneCount), b3)
    b4 = vector_fma(value, vector_load(b + 2 &* laneCount), b4)
    c0 = vector_fma(value, vector_load(c - 2 &* laneCount), c0)
    c1 = vector_fma(value, vector_load(c - laneCount), c1)
    c2 = vector_fma(value, vector_load(c), c2)
    c3 = vector_fma(value, vector_load(c + laneCount), c3)
    c4 = vector_fma(value, vector_load(c + 2 &* laneCount), c4)
    place &+= laneCount
  }
  vector_store(sums, total)
  vector_store(sums + vectorWidth, a0)
  vector_store(sums + 2 &* vectorWidth, a1)
  vector_store(sums + 3 &* vectorWidth, a2)
  vector_store(sums + 4 &* vectorWidth, b0)
  vector_store(sums + 5 &* vectorWidth, b1)
  vector_store(sums + 6 &* vectorWidth, b2)
  vector_store(sums + 7 &* vectorWidth, b3)
  vector_store(sums + 8 &* vectorWidth, b4)
  vector_store(sums + 9 &* vectorWidth, c0)
  vector_store(sums + 10 &* vectorWidth, c1)
  vector_store(sums + 11 &* vectorWidth, c2)
  vector_store(sums + 12 &* vectorWidth, c3)
  vector_store(sums + 13 &* vectorWidth, c4)
}

@inline(__always)
private func add(_ value: Vector, to sum: Floats) { vector_store(sum, vector_load(sum) + value) }
