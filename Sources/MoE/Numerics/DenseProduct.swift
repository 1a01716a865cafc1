internal import CLanes

/// The matrix products of dense layers, C[rows][columns] = A·B, by a register-blocked kernel of our own.
///
/// Every element is one chain of multiply-adds over ascending k (see ``DenseTile``), so its bits depend neither on the
/// number of rows or columns nor on how the work is cut. B is cut into panels of 64 columns. Where several tiles of rows
/// use a panel, it is first copied to consecutive memory, so that the loop reads one stream; a group of panels that the
/// core's second cache holds goes past all rows of A together.
package enum DenseProduct {
  /// Floats of a group of packed panels.
  private static let groupFloats = 176 * 1024
  /// Fewer rows than this use a panel too few times to repay the copy.
  private static let packedRows = 48
  private static let panelColumns = DenseTile.panelColumns

  /// H = W·X (+ bias, rectified where asked). W is [outputs][inputs]; X and H are feature-major with the same rows.
  package static func forward(
    _ weights: UnsafePointer<Float>, outputs: Int, _ x: FeatureMap, bias: UnsafePointer<Float>? = nil,
    rectify: Bool = false, into h: FeatureMap, in workspace: Workspace
  ) {
    run(
      [Term(a: Left(base: weights, row: x.features, step: 1), b: .rows(x), depth: x.features)],
      rows: outputs, columns: x.columns, DenseFinish(bias: bias, rectify: rectify), into: h.base,
      stride: h.stride, in: workspace)
  }

  /// What a block of rows adds to a weight gradient.
  package struct BlockOfRows {
    /// dH, [outputs][rows].
    package let gradient: FeatureMap
    /// X, [inputs][rows]. What is behind the rows is not read.
    package let input: FeatureMap

    package init(gradient: FeatureMap, input: FeatureMap) {
      self.gradient = gradient
      self.input = input
    }
  }

  /// dW = Σ dH·Xᵀ over blocks of rows, [outputs][inputs]: within a block over the rows, ascending, then over the blocks
  /// along a tree.
  ///
  /// - Parameters:
  ///   - additions: per block, how often the two topmost sums are added once its own is on the stack.
  ///   - share: which part of the columns of dW to compute, and of how many: threads take one each.
  package static func weightGradient(
    _ blocks: [BlockOfRows], additions: [Int], share: (Int, of: Int) = (0, of: 1), into weights: Floats,
    in workspace: Workspace
  ) {
    guard let first = blocks.first else { return }
    let inputs = first.input.features
    let panels = (inputs + panelColumns - 1) / panelColumns
    run(
      zip(blocks, additions).map { block, additions in
        Term(
          a: Left(base: block.gradient.base, row: block.gradient.stride, step: 1), b: .columns(block.input),
          depth: block.input.rows, additions: additions)
      },
      rows: first.gradient.features, columns: inputs,
      panels: share.0 * panels / share.of..<(share.0 + 1) * panels / share.of, into: weights, stride: inputs,
      in: workspace)
  }

  /// dX = Wᵀ·dH, and 0 where X, if given, is not positive: the gradient before the ReLU that gave X.
  package static func inputGradient(
    _ weights: UnsafePointer<Float>, _ gradient: FeatureMap, rectifiedBy x: FeatureMap? = nil,
    into result: FeatureMap, in workspace: Workspace
  ) {
    run(
      [
        Term(
          a: Left(base: weights, row: 1, step: result.features), b: .rows(gradient),
          depth: gradient.features)
      ],
      rows: result.features, columns: gradient.columns, DenseFinish(activation: x), into: result.base,
      stride: result.stride, in: workspace)
  }

  /// The upper triangle of XᵀX, [rows][stride], for X of [features][rows]; below it anything may be written. The stride
  /// holds whole vectors.
  package static func gram(_ x: FeatureMap, into product: Floats, stride: Int, in workspace: Workspace) {
    run(
      [Term(a: Left(base: x.base, row: 1, step: x.stride), b: .rows(x), depth: x.features)],
      rows: x.rows, columns: x.columns, upperTriangle: true, into: product, stride: stride, in: workspace)
  }

  /// Bytes of the workspace that a product of at most this size takes while it runs.
  ///
  /// - Parameter terms: blocks that are summed, at most.
  package static func workspaceBytes(depth: Int, columns: Int, terms: Int = 1) -> Int {
    let panel = panelColumns * FeatureMap.columns(rows: depth)
    let panels = (columns + panelColumns - 1) / panelColumns
    return Workspace.bytes(floats: min(panels * panel, max(groupFloats, panel)))
      + Workspace.bytes(floats: (stackSlots(terms: terms) + 1) * DenseTile.slotFloats)
  }

  /// Bytes of the workspace that the three products of a dense layer take at most, one at a time.
  ///
  /// - Parameters:
  ///   - rows: of a block.
  ///   - blocks: those whose weight gradients are summed.
  package static func layerWorkspaceBytes(inputs: Int, outputs: Int, rows: Int, blocks: Int = 1) -> Int {
    let columns = FeatureMap.columns(rows: rows)
    return max(
      workspaceBytes(depth: inputs, columns: columns),
      workspaceBytes(depth: blocks * columns, columns: inputs, terms: blocks),
      workspaceBytes(depth: outputs, columns: columns))
  }

  /// Sums that wait for their sibling at most.
  private static func stackSlots(terms: Int) -> Int { Int.bitWidth - max(terms - 1, 0).leadingZeroBitCount }

  /// A: its element (i, k) is at base[i · row + k · step].
  private struct Left {
    let base: UnsafePointer<Float>
    let row: Int
    let step: Int
  }

  private enum Right {
    /// B = X: k runs over the features.
    case rows(FeatureMap)
    /// B = Xᵀ: k runs over the rows.
    case columns(FeatureMap)
  }

  /// A product among those that are summed.
  private struct Term {
    let a: Left
    let b: Right
    let depth: Int
    /// How often the two topmost sums are added once this one is on the stack.
    var additions = 0

    /// Floats of a packed panel.
    var panelFloats: Int { panelColumns * FeatureMap.columns(rows: depth) }
  }

  /// - Parameter panels: those to compute; nil: all.
  private static func run(
    _ terms: [Term], rows: Int, columns: Int, panels wanted: Range<Int>? = nil,
    _ finish: DenseFinish = DenseFinish(), upperTriangle: Bool = false, into c: Floats, stride: Int,
    in workspace: Workspace
  ) {
    let mark = workspace.mark
    defer { workspace.release(to: mark) }
    let vectors = (columns + laneCount - 1) / laneCount
    let panels = wanted ?? 0..<(vectors + DenseTile.panelVectors - 1) / DenseTile.panelVectors
    guard !panels.isEmpty else { return }
    var source: FeatureMap?
    if terms.count == 1, case .rows(let x) = terms[0].b, rows < packedRows { source = x }
    let panelFloats = terms.reduce(0) { $0 + $1.panelFloats }
    let groups = source != nil ? 1 : (panels.count - 1) / max(1, groupFloats / max(panelFloats, 1)) + 1
    let perGroup = (panels.count + groups - 1) / groups
    let packed = source != nil ? nil : workspace.floats(perGroup * panelFloats)
    let stack = workspace.floats((stackSlots(terms: terms.count) + 1) * DenseTile.slotFloats)
    let edge = stack + stackSlots(terms: terms.count) * DenseTile.slotFloats
    var first = panels.lowerBound
    while first < panels.upperBound {
      let last = min(first + perGroup, panels.upperBound)
      if let packed {
        var place = packed
        for panel in first..<last {
          for term in terms {
            pack(
              term.b, column: panel * panelColumns,
              vectors: min(DenseTile.panelVectors, vectors - panel * DenseTile.panelVectors),
              depth: term.depth, columns: columns, into: place)
            place += term.panelFloats
          }
        }
      }
      var row = 0
      var tiles = (rows + DenseTile.rows - 1) / DenseTile.rows
      while tiles > 0 {
        // Tiles of nearly equal height: a last tile of one row would wait for its own few sums.
        let height = (rows - row + tiles - 1) / tiles
        for panel in first..<last {
          let column = panel * panelColumns
          let width = min(DenseTile.panelVectors, vectors - panel * DenseTile.panelVectors)
          if upperTriangle && column + width * laneCount <= row { continue }
          let partial = column + width * laneCount > columns
          let target = c + (row * stride + column)
          var b = packed.map { UnsafePointer($0 + (panel - first) * panelFloats) }
          // Sums on the stack.
          var waiting = 0
          for index in terms.indices {
            let term = terms[index]
            let isLast = index == terms.count - 1
            let left = waiting - term.additions
            let tile = DenseTile(
              a: term.a.base + row * term.a.row, aRow: term.a.row, aStep: term.a.step,
              b: b ?? UnsafePointer((source?.base ?? c) + column),
              bStep: source?.stride ?? width * laneCount, depth: term.depth,
              c: !isLast ? stack + left * DenseTile.slotFloats : partial ? edge : target,
              cRow: !isLast || partial ? panelColumns : stride, bias: finish.bias.map { $0 + row },
              rectify: finish.rectify,
              activation: finish.activation.map { UnsafePointer($0[row] + column) },
              activationRow: finish.activation?.stride ?? 0,
              addends: waiting > 0 ? UnsafePointer(stack + (waiting - 1) * DenseTile.slotFloats) : nil,
              additions: term.additions)
            tile.compute(rows: height, vectors: width)
            waiting = left + 1
            b = b.map { $0 + term.panelFloats }
          }
          if partial {
            for line in 0..<height {
              (target + line * stride).update(from: edge + line * panelColumns, count: columns - column)
            }
          }
        }
        row += height
        tiles -= 1
      }
      first = last
    }
  }

  /// Copies a panel of B to [k][16 · vectors].
  private static func pack(
    _ b: Right, column: Int, vectors: Int, depth: Int, columns: Int, into panel: Floats
  ) {
    let width = vectors &* laneCount
    switch b {
    case .rows(let x):
      for k in 0..<depth {
        let source = x[k] + column
        let target = panel + k &* width
        if vectors == DenseTile.panelVectors {
          for vector in 0..<DenseTile.panelVectors {
            lanes_store(target + vector &* laneCount, lanes_load(source + vector &* laneCount))
          }
        } else {
          target.update(from: source, count: width)
        }
      }
    case .columns(let x):
      for vector in 0..<vectors {
        let feature = column + vector &* laneCount
        let count = Int32(min(laneCount, columns - feature))
        var k = 0
        while k < depth {
          lanes_transpose_floats(
            x[feature] + k, Int64(x.stride), count, panel + (k &* width &+ vector &* laneCount), Int64(width))
          k &+= laneCount
        }
      }
    }
  }
}
