internal import CLanes
public import KernelInterface

// How the work of a dense product is cut, so that what a loop reads again and again stays close to the core: panels of
// B, a few vectors wide, are copied to consecutive memory; blocks of k are short enough that a panel's part stays in the
// first cache while the tiles of a strip of A pass by; a group of panels stays in the second while all rows do.

/// Values of k in a block, about; at most half as many again, which is ``DenseWork/longestBlock``.
@inline(__always) private var blockDepth: Int { DenseWork.longestBlock &* 2 / 3 }
/// Fewer rows than this use a panel too few times to repay the copy.
@inline(__always) private var packedRows: Int { 24 }

extension Kernels {
  @inline(never)
  public static func denseProduct(_ work: DenseWork) {
    if work.transposed { transposedProduct(work) } else { plainProduct(work) }
  }
}

/// A part of a whole that is cut into nearly equal ones.
@inline(__always)
func cut(_ whole: Int, _ index: Int, of count: Int) -> Range<Int> {
  index &* whole / count..<(index &+ 1) &* whole / count
}

/// Panels that are worked on together, of so many floats each: groups of nearly equal size.
@inline(__always)
private func panelsPerGroup(_ panels: Int, floats: Int) -> Int {
  let groups = (panels &- 1) / max(1, DenseWork.groupFloats / max(floats, 1)) &+ 1
  return (panels &+ groups &- 1) / groups
}

/// Rows of the strip of A that begins at a row.
@inline(__always)
private func stripRows(_ row: Int, of rows: Int) -> Int { min(DenseWork.strip, rows &- row) }

@inline(__always)
private func tiles(ofRows rows: Int) -> Int { (rows &+ tileRows &- 1) / tileRows }

/// Σ of the terms' values of k.
@inline(__always)
private func wholeDepth(_ work: DenseWork) -> Int {
  var depth = 0
  for term in 0..<work.termCount { depth &+= work.terms[term].depth }
  return depth
}

/// Packs a panel of every term, one behind the other.
@inline(__always)
private func packTerms(_ work: DenseWork, panel: Int, into place: Floats) {
  var place = place
  for index in 0..<work.termCount {
    let term = work.terms[index]
    pack(term, 0..<term.depth, column: panel &* panelColumns, columns: work.columns, into: place)
    place += panelColumns &* term.depth
  }
}

@inline(__always)
private func plainProduct(_ work: DenseWork) {
  let vectors = (work.columns &+ laneCount &- 1) / laneCount
  let allPanels = (vectors &+ panelVectors &- 1) / panelVectors
  let panels = cut(allPanels, work.share, of: work.shares)
  guard !panels.isEmpty, work.rows > 0 else { return }
  let terms = work.terms
  let single = work.termCount == 1
  // Where the tiles read B from: packed, or as it lies.
  let asIs = single && terms[0].bColumn == 1 && work.rows < packedRows
  let depth = wholeDepth(work)
  // One product is done block by block; a sum of several, whose blocks of rows are short, term by term.
  let blocks = single ? max(1, (depth &+ blockDepth / 2) / blockDepth) : 1
  let packedDepth = (depth &+ blocks &- 1) / blocks
  let panelFloats = panelColumns &* packedDepth

  let stack = work.memory
  let slots = DenseWork.stackSlots(terms: work.termCount)
  let edge = stack + slots &* DenseWork.slotFloats
  let packedA = edge + DenseWork.slotFloats
  // Rows of A are neighbours in memory where A is a transposed matrix: a strip of them is copied tile by tile.
  let packsA = single && terms[0].aStep != 1
  let packedB = packedA + (packsA ? DenseWork.strip &* packedDepth : 0)
  let perGroup = asIs ? panels.count : panelsPerGroup(panels.count, floats: panelFloats)
  precondition(
    packedB + (asIs ? 0 : perGroup &* panelFloats) <= work.memory + work.memoryFloats,
    "a product has the memory that DenseWork says")

  var first = panels.lowerBound
  while first < panels.upperBound {
    let last = min(first &+ perGroup, panels.upperBound)
    for block in 0..<blocks {
      let range = cut(depth, block, of: blocks)
      if !asIs {
        for panel in first..<last {
          let place = packedB + (panel &- first) &* panelFloats
          if single {
            pack(terms[0], range, column: panel &* panelColumns, columns: work.columns, into: place)
          } else {
            packTerms(work, panel: panel, into: place)
          }
        }
      }
      var row = 0
      while row < work.rows {
        let strip = stripRows(row, of: work.rows)
        let tiles = tiles(ofRows: strip)
        if packsA {
          packRows(
            terms[0].a + (row &* terms[0].aRow &+ range.lowerBound &* terms[0].aStep), step: terms[0].aStep,
            depth: range.count, rows: strip, tiles: tiles, into: packedA)
        }
        for panel in first..<last {
          let column = panel &* panelColumns
          let panelWidth = min(panelVectors, vectors &- panel &* panelVectors)
          if work.upperTriangle && column &+ panelWidth &* laneCount <= row { continue }
          let partial = !work.padded && column &+ panelWidth &* laneCount > work.columns
          let lineStep = asIs ? terms[0].bStep : panelWidth &* laneCount
          let b = asIs ? terms[0].b + column : UnsafePointer(packedB + (panel &- first) &* panelFloats)
          for tile in 0..<tiles {
            let lines = cut(strip, tile, of: tiles)
            let (top, height) = (row &+ lines.lowerBound, lines.count)
            let target = work.c + (top &* work.cStride &+ column)
            if single {
              var t = DenseTile(
                a: terms[0].a + (top &* terms[0].aRow &+ range.lowerBound &* terms[0].aStep),
                aRow: terms[0].aRow, aStep: terms[0].aStep,
                b: asIs ? b + range.lowerBound &* lineStep : b, bStep: lineStep, depth: range.count,
                c: partial ? edge : target, cRow: partial ? panelColumns : work.cStride)
              if packsA {
                t.a = UnsafePointer(packedA + lines.lowerBound &* range.count)
                t.aRow = 1
                t.aStep = height
              }
              t.continues = block > 0
              if block == blocks &- 1 { finish(&t, work, row: top, column: column) }
              t.compute(rows: height, vectors: panelWidth)
            } else {
              sumTerms(
                work, row: top, panel: b, lineStep: lineStep, stack: stack,
                into: partial ? edge : target, cRow: partial ? panelColumns : work.cStride, rows: height,
                vectors: panelWidth
              ) { finish(&$0, work, row: top, column: column) }
            }
            if partial {
              for line in 0..<height {
                (target + line &* work.cStride).update(
                  from: edge + line &* panelColumns, count: work.columns &- column)
              }
            }
          }
        }
        row &+= strip
      }
    }
    first = last
  }
}

@inline(__always)
private func finish(_ tile: inout DenseTile, _ work: DenseWork, row: Int, column: Int) {
  tile.rectify = work.rectify
  if let bias = work.bias { tile.bias = bias + row }
  if let activation = work.activation {
    tile.activation = activation + (row &* work.activationStride &+ column)
    tile.activationRow = work.activationStride
  }
}

/// A tile of several products' sum: each is put on a stack, whose topmost sums are added along the tree.
@inline(__always)
private func sumTerms(
  _ work: DenseWork, row: Int, panel: UnsafePointer<Float>, lineStep: Int, stack: Floats, into c: Floats,
  cRow: Int, rows: Int, vectors: Int, _ finish: (inout DenseTile) -> Void
) {
  // Sums on the stack.
  var waiting = 0
  var b = panel
  for index in 0..<work.termCount {
    let term = work.terms[index]
    let isLast = index == work.termCount &- 1
    let left = waiting &- term.additions
    var tile = DenseTile(
      a: term.a + row &* term.aRow, aRow: term.aRow, aStep: term.aStep, b: b, bStep: lineStep,
      depth: term.depth, c: isLast ? c : stack + left &* DenseWork.slotFloats,
      cRow: isLast ? cRow : panelColumns)
    if waiting > 0 { tile.addends = UnsafePointer(stack + (waiting &- 1) &* DenseWork.slotFloats) }
    tile.additions = term.additions
    if isLast { finish(&tile) }
    tile.compute(rows: rows, vectors: vectors)
    waiting = left &+ 1
    b += panelColumns &* term.depth
  }
}

/// C transposed: strips of it are computed as they are and turned on their way to memory.
@inline(__always)
private func transposedProduct(_ work: DenseWork) {
  let vectors = (work.columns &+ laneCount &- 1) / laneCount
  let panels = (vectors &+ panelVectors &- 1) / panelVectors
  let allStrips = (work.rows &+ DenseWork.strip &- 1) / DenseWork.strip
  let strips = cut(allStrips, work.share, of: work.shares)
  guard !strips.isEmpty, work.columns > 0 else { return }
  let panelFloats = panelColumns &* wholeDepth(work)
  let stack = work.memory
  let turned = stack + DenseWork.stackSlots(terms: work.termCount) &* DenseWork.slotFloats
  let square = turned + DenseWork.strip &* panelColumns
  let packedB = square + laneCount &* laneCount
  let perGroup = panelsPerGroup(panels, floats: panelFloats)
  precondition(
    packedB + perGroup &* panelFloats <= work.memory + work.memoryFloats,
    "a product has the memory that DenseWork says")
  var first = 0
  while first < panels {
    let last = min(first &+ perGroup, panels)
    for panel in first..<last {
      packTerms(work, panel: panel, into: packedB + (panel &- first) &* panelFloats)
    }
    for strip in strips {
      let row = strip &* DenseWork.strip
      let rows = stripRows(row, of: work.rows)
      let tiles = tiles(ofRows: rows)
      for panel in first..<last {
        let column = panel &* panelColumns
        let panelWidth = min(panelVectors, vectors &- panel &* panelVectors)
        for tile in 0..<tiles {
          let lines = cut(rows, tile, of: tiles)
          sumTerms(
            work, row: row &+ lines.lowerBound,
            panel: UnsafePointer(packedB + (panel &- first) &* panelFloats),
            lineStep: panelWidth &* laneCount, stack: stack,
            into: turned + lines.lowerBound &* panelColumns, cRow: panelColumns, rows: lines.count,
            vectors: panelWidth
          ) { _ in }
        }
        turn(
          turned, rows: rows, columns: min(panelWidth &* laneCount, work.columns &- column),
          into: work.c + (column &* work.cStride &+ row), stride: work.cStride, square)
      }
    }
    first = last
  }
}

/// Writes [rows][panelColumns] as [columns][stride].
@inline(__always)
private func turn(
  _ source: Floats, rows: Int, columns: Int, into target: Floats, stride: Int, _ square: Floats
) {
  var column = 0
  while column < columns {
    let lines = min(vectorWidth, columns &- column)
    var row = 0
    while row < rows {
      let count = min(vectorWidth, rows &- row)
      let from = source + (row &* panelColumns &+ column)
      if lines == vectorWidth && count == vectorWidth {
        vector_transpose(
          from, Int64(panelColumns), Int32(vectorWidth), target + (column &* stride &+ row), Int64(stride))
      } else {
        vector_transpose(from, Int64(panelColumns), Int32(count), square, Int64(vectorWidth))
        for line in 0..<lines {
          for i in 0..<count {
            target[(column &+ line) &* stride &+ row &+ i] = square[line &* vectorWidth &+ i]
          }
        }
      }
      row &+= vectorWidth
    }
    column &+= vectorWidth
  }
}
