internal import CLanes
internal import KernelInterface

/// Copies a panel of B, some of its lines, to [k][16 · vectors].
@inline(__always)
func pack(_ term: DenseTerm, _ range: Range<Int>, column: Int, columns: Int, into panel: Floats) {
  let depth = range.count
  let lanes = min(panelColumns, (columns &- column &+ laneCount &- 1) & ~(laneCount &- 1))
  if term.bColumn == 1 {
    var source = term.b + (range.lowerBound &* term.bStep &+ column)
    var target = panel
    for _ in 0..<depth {
      var lane = 0
      while lane < lanes {
        vector_store(target + lane, vector_load(source + lane))
        lane &+= vectorWidth
      }
      source += term.bStep
      target += lanes
    }
    return
  }
  // Columns of B lie along k: squares of them are turned, and what lies behind the last column is 0.
  var lane = 0
  while lane < lanes {
    let count = min(vectorWidth, columns &- column &- lane)
    let source = term.b + ((column &+ lane) &* term.bColumn &+ range.lowerBound)
    let whole = count > 0 ? depth & ~(vectorWidth &- 1) : 0
    var k = 0
    while k < whole {
      vector_transpose(
        source + k, Int64(term.bColumn), Int32(count), panel + (k &* lanes &+ lane), Int64(lanes))
      k &+= vectorWidth
    }
    while k < depth {
      let target = panel + (k &* lanes &+ lane)
      for i in 0..<vectorWidth { target[i] = i < count ? source[i &* term.bColumn &+ k] : 0 }
      k &+= 1
    }
    lane &+= vectorWidth
  }
}

/// Copies rows that are neighbours in memory to [tile][k][rows of the tile], and asks for the next strip's.
///
/// Eight floats at a time: what is behind a tile's rows is overwritten by what follows. Not at the end, where nothing may
/// lie behind them.
@inline(__always)
func packRows(
  _ a: UnsafePointer<Float>, step: Int, depth: Int, rows: Int, tiles: Int, into packed: Floats
) {
  let tail = min(depth, packedTail)
  let body = depth &- tail
  var source = a
  if rows == DenseWork.strip {
    // All tiles while a line is close: with steps of a power of two few lines can be at a time.
    var line = packed
    for _ in 0..<body {
      var from = source
      var to = line
      for _ in 0..<stripTiles {
        lanes_copy_eight(from, to)
        from += tileRows
        to += tileRows &* depth
      }
      lanes_prefetch(from)
      lanes_prefetch(from + laneCount)
      lanes_prefetch(from + 2 &* laneCount)
      source += step
      line += tileRows
    }
  } else {
    for tile in 0..<tiles {
      let lines = cut(rows, tile, of: tiles)
      var from = source + lines.lowerBound
      var to = packed + lines.lowerBound &* depth
      for _ in 0..<body {
        lanes_copy_eight(from, to)
        from += step
        to += lines.count
      }
    }
    source += body &* step
  }
  for tile in 0..<tiles {
    let lines = cut(rows, tile, of: tiles)
    var from = source + lines.lowerBound
    var to = packed + (lines.lowerBound &* depth &+ body &* lines.count)
    for _ in 0..<tail {
      for i in 0..<lines.count { to[i] = from[i] }
      from += step
      to += lines.count
    }
  }
}

/// Tiles of a whole strip.
@inline(__always) private var stripTiles: Int { DenseWork.strip / tileRows }

/// Lines at the end of a block that are copied float by float: what eight floats reach behind a line of one.
@inline(__always) private var packedTail: Int { 8 }
