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
  private static let panelColumns = DenseTile.panelVectors * laneCount

  /// H = W·X (+ bias, rectified where asked). W is [outputs][inputs]; X and H are feature-major with the same rows.
  package static func forward(
    _ weights: UnsafePointer<Float>, outputs: Int, _ x: FeatureMap, bias: UnsafePointer<Float>? = nil,
    rectify: Bool = false, into h: FeatureMap, in workspace: Workspace
  ) {
    run(
      Left(base: weights, row: x.features, step: 1), rows: outputs, depth: x.features, columns: x.columns,
      .rows(x), DenseFinish(bias: bias, rectify: rectify), into: h.base, stride: h.stride, in: workspace)
  }

  /// dW = dH·Xᵀ, [features of dH][features of X], summed over the rows, ascending; what is behind the rows is not read.
  package static func weightGradient(
    _ gradient: FeatureMap, _ x: FeatureMap, into weights: Floats, in workspace: Workspace
  ) {
    run(
      Left(base: gradient.base, row: gradient.stride, step: 1), rows: gradient.features, depth: x.rows,
      columns: x.features, .columns(x), DenseFinish(), into: weights, stride: x.features, in: workspace)
  }

  /// dX = Wᵀ·dH, and 0 where X, if given, is not positive: the gradient before the ReLU that gave X.
  package static func inputGradient(
    _ weights: UnsafePointer<Float>, _ gradient: FeatureMap, rectifiedBy x: FeatureMap? = nil,
    into result: FeatureMap, in workspace: Workspace
  ) {
    run(
      Left(base: weights, row: 1, step: result.features), rows: result.features, depth: gradient.features,
      columns: gradient.columns, .rows(gradient), DenseFinish(activation: x), into: result.base,
      stride: result.stride, in: workspace)
  }

  /// The upper triangle of XᵀX, [rows][stride], for X of [features][rows]; below it anything may be written. The stride
  /// holds whole vectors.
  package static func gram(_ x: FeatureMap, into product: Floats, stride: Int, in workspace: Workspace) {
    run(
      Left(base: x.base, row: 1, step: x.stride), rows: x.rows, depth: x.features, columns: x.columns,
      .rows(x), DenseFinish(), upperTriangle: true, into: product, stride: stride, in: workspace)
  }

  /// Bytes of the workspace that a product of at most this size takes while it runs.
  package static func workspaceBytes(depth: Int, columns: Int) -> Int {
    let panel = panelColumns * FeatureMap.columns(rows: depth)
    let panels = (columns + panelColumns - 1) / panelColumns
    return Workspace.bytes(floats: min(panels * panel, max(groupFloats, panel)))
      + Workspace.bytes(floats: DenseTile.rows * panelColumns)
  }

  /// Bytes of the workspace that the three products of a dense layer take at most, one at a time.
  package static func layerWorkspaceBytes(inputs: Int, outputs: Int, rows: Int) -> Int {
    let columns = FeatureMap.columns(rows: rows)
    return max(
      workspaceBytes(depth: inputs, columns: columns), workspaceBytes(depth: columns, columns: inputs),
      workspaceBytes(depth: outputs, columns: columns))
  }

  private static func panelsPerGroup(depth: Int) -> Int {
    max(1, groupFloats / (panelColumns * max(FeatureMap.columns(rows: depth), 1)))
  }

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

  private static func run(
    _ a: Left, rows: Int, depth: Int, columns: Int, _ b: Right, _ finish: DenseFinish,
    upperTriangle: Bool = false, into c: Floats, stride: Int, in workspace: Workspace
  ) {
    let mark = workspace.mark
    defer { workspace.release(to: mark) }
    let vectors = (columns + laneCount - 1) / laneCount
    let panels = (vectors + DenseTile.panelVectors - 1) / DenseTile.panelVectors
    var source: FeatureMap?
    if case .rows(let x) = b, rows < packedRows { source = x }
    let groups = source != nil ? 1 : (panels - 1) / panelsPerGroup(depth: depth) + 1
    let perGroup = (panels + groups - 1) / groups
    let panelFloats = panelColumns * FeatureMap.columns(rows: depth)
    let packed = source != nil ? nil : workspace.floats(perGroup * panelFloats)
    let edge = workspace.floats(DenseTile.rows * panelColumns)
    var first = 0
    while first < panels {
      let last = min(first + perGroup, panels)
      if let packed {
        for panel in first..<last {
          pack(
            b, column: panel * panelColumns,
            vectors: min(DenseTile.panelVectors, vectors - panel * DenseTile.panelVectors),
            depth: depth, columns: columns, into: packed + (panel - first) * panelFloats)
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
          let tile = DenseTile(
            a: a.base + row * a.row, aRow: a.row, aStep: a.step,
            b: packed.map { UnsafePointer($0 + (panel - first) * panelFloats) }
              ?? UnsafePointer((source?.base ?? c) + column),
            bStep: source?.stride ?? width * laneCount, depth: depth, c: partial ? edge : target,
            cRow: partial ? panelColumns : stride, bias: finish.bias.map { $0 + row },
            rectify: finish.rectify,
            activation: finish.activation.map { UnsafePointer($0[row] + column) },
            activationRow: finish.activation?.stride ?? 0)
          tile.compute(rows: height, vectors: width)
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
        for vector in 0..<vectors {
          lanes_store(target + vector &* laneCount, lanes_load(source + vector &* laneCount))
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
