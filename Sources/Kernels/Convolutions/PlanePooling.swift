internal import CLanes
public import KernelInterface

// Passes over the planes between two convolutions, one plane of one tile each. `which` names a plane's own part of the
// choices that pooling made: [y][x][16] of its pooled positions.

extension Kernels {
  @inline(never)
  public static func planeMoments(_ z: PlaneMap, tile: Int, channel: Int) -> (sum: Double, squares: Double) {
    var sum = SIMD16<Double>()
    var squares = SIMD16<Double>()
    let lanes = Int32(z.lanes(tile))
    for y in 0..<z.height {
      var p = UnsafePointer(z[tile, channel] + y &* z.rowStride)
      for _ in 0..<z.width {
        let value = lanes_keep(lanes_load(p), lanes)
        sum = lanes_add_wide(sum, value)
        squares = lanes_add_square_wide(squares, value)
        p += z.columnStride
      }
    }
    return (lanes_sum_wide(sum), lanes_sum_wide(squares))
  }

  @inline(never)
  public static func scaleAndPool(
    _ z: PlaneMap, tile: Int, channel: Int, scale: Float, shift: Float, into y: PlaneMap,
    which: UnsafeMutablePointer<UInt8>
  ) {
    let a = lanes_splat(scale)
    let b = lanes_splat(shift)
    let zero = lanes_splat(0)
    var choice = which
    for row in 0..<y.height {
      var p = UnsafePointer(z[tile, channel] + 2 &* row &* z.rowStride)
      var target = y[tile, channel] + row &* y.rowStride
      for _ in 0..<y.width {
        let best = lanes_pool(
          lanes_fma(lanes_load(p), a, b), lanes_fma(lanes_load(p + z.columnStride), a, b),
          lanes_fma(lanes_load(p + z.rowStride), a, b),
          lanes_fma(lanes_load(p + (z.rowStride &+ z.columnStride)), a, b), choice)
        lanes_store(target, lanes_max(best, zero))
        p += 2 &* z.columnStride
        target += y.columnStride
        choice += laneCount
      }
    }
  }

  @inline(never)
  public static func spreadPooledGradient(
    _ gradient: PlaneMap, _ y: PlaneMap, tile: Int, channel: Int, which: UnsafePointer<UInt8>,
    into dense: PlaneMap, at target: Floats
  ) -> Double {
    var total = lanes_splat(0)
    forEachPooled(gradient, y, tile, channel, which) { row, column, g, k in
      total += g
      let p = target + (2 &* row &* dense.rowStride &+ 2 &* column &* dense.columnStride)
      lanes_store(p, lanes_where_equal(k, 0, g))
      lanes_store(p + dense.columnStride, lanes_where_equal(k, 1, g))
      lanes_store(p + dense.rowStride, lanes_where_equal(k, 2, g))
      lanes_store(p + (dense.rowStride &+ dense.columnStride), lanes_where_equal(k, 3, g))
    }
    forEachLeftOut(dense, y) { lanes_store(target + $0, lanes_splat(0)) }
    return lanes_sum(total)
  }

  @inline(never)
  public static func normalisedGradientSums(
    _ gradient: PlaneMap, _ y: PlaneMap, _ z: PlaneMap, tile: Int, channel: Int,
    which: UnsafePointer<UInt8>, inverse: Float, offset: Float
  ) -> (sum: Double, along: Double) {
    let a = lanes_splat(inverse)
    let b = lanes_splat(offset)
    var total = lanes_splat(0)
    var along = lanes_splat(0)
    let plane = UnsafePointer(z[tile, channel])
    forEachPooled(gradient, y, tile, channel, which) { row, column, g, k in
      let p = plane + (2 &* row &* z.rowStride &+ 2 &* column &* z.columnStride)
      let value = lanes_choose(
        k, lanes_load(p), lanes_load(p + z.columnStride), lanes_load(p + z.rowStride),
        lanes_load(p + (z.rowStride &+ z.columnStride)))
      total += g
      along = lanes_fma(g, lanes_fma(value, a, b), along)
    }
    return (lanes_sum(total), lanes_sum(along))
  }

  @inline(never)
  public static func normalisedGradient(
    _ gradient: PlaneMap, _ y: PlaneMap, _ z: PlaneMap, tile: Int, channel: Int,
    which: UnsafePointer<UInt8>, factor: Float, slope: Float, constant: Float, into dense: PlaneMap,
    at target: Floats
  ) {
    let f = lanes_splat(factor)
    let s = lanes_splat(slope)
    let c = lanes_splat(constant)
    let lanes = Int32(z.lanes(tile))
    let plane = UnsafePointer(z[tile, channel])
    @inline(__always) func write(_ row: Int, _ column: Int, _ g: SIMD16<Float>) {
      let value = lanes_load(plane + (row &* z.rowStride &+ column &* z.columnStride))
      lanes_store(
        target + (row &* dense.rowStride &+ column &* dense.columnStride),
        lanes_keep(lanes_fma(f, g, lanes_fma(s, value, c)), lanes))
    }
    forEachPooled(gradient, y, tile, channel, which) { row, column, g, k in
      write(2 &* row, 2 &* column, lanes_where_equal(k, 0, g))
      write(2 &* row, 2 &* column &+ 1, lanes_where_equal(k, 1, g))
      write(2 &* row &+ 1, 2 &* column, lanes_where_equal(k, 2, g))
      write(2 &* row &+ 1, 2 &* column &+ 1, lanes_where_equal(k, 3, g))
    }
    let zero = lanes_splat(0)
    if z.height > 2 * y.height { for column in 0..<z.width { write(z.height - 1, column, zero) } }
    if z.width > 2 * y.width { for row in 0..<2 * y.height { write(row, z.width - 1, zero) } }
  }
}

/// Calls the body for every pooled position with the gradient that passes ReLU, and the choice of the maximum.
@inline(__always)
private func forEachPooled(
  _ gradient: PlaneMap, _ y: PlaneMap, _ tile: Int, _ channel: Int, _ which: UnsafePointer<UInt8>,
  _ body: (_ row: Int, _ column: Int, _ gradient: SIMD16<Float>, _ choice: SIMD16<Int32>) -> Void
) {
  var choice = which
  for row in 0..<y.height {
    var g = UnsafePointer(gradient[tile, channel] + row &* gradient.rowStride)
    var v = UnsafePointer(y[tile, channel] + row &* y.rowStride)
    for column in 0..<y.width {
      body(row, column, lanes_where_positive(lanes_load(v), lanes_load(g)), lanes_load_which(choice))
      g += gradient.columnStride
      v += y.columnStride
      choice += laneCount
    }
  }
}

/// The offsets of what pooling left out of a plane of odd height or width.
@inline(__always)
private func forEachLeftOut(_ dense: PlaneMap, _ y: PlaneMap, _ body: (Int) -> Void) {
  if dense.height > 2 * y.height {
    for column in 0..<dense.width {
      body((dense.height - 1) * dense.rowStride + column * dense.columnStride)
    }
  }
  if dense.width > 2 * y.width {
    for row in 0..<2 * y.height { body(row * dense.rowStride + (dense.width - 1) * dense.columnStride) }
  }
}
