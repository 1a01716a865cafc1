public import KernelInterface

/// What computes the matrix products of dense layers.
///
/// Own kernels give an element of a product one chain of fused multiply-adds over ascending k: its bits depend neither on
/// the number of rows or columns nor on how the work is cut, and are the same on every processor that has them. With
/// OpenBLAS they depend on the shape of the product and on the kernels that it chooses for the processor, so every call's
/// shape follows from the configuration and the routing alone, never from ranks or threads.
public enum DenseProducts: String, CaseIterable, Sendable {
  /// The kernels of the processor level in use.
  case own
  /// OpenBLAS on one thread.
  case openblas

  /// The kernels made for the processor, where there are some.
  public static var standard: DenseProducts { ProcessorLevel.current == .base ? .openblas : .own }

  /// H = W·X (+ bias, rectified where asked). W is [outputs][inputs]; X and H are feature-major with the same rows.
  public func forward(
    _ weights: UnsafePointer<Float>, outputs: Int, _ x: FeatureMap, bias: UnsafePointer<Float>? = nil,
    rectify: Bool = false, into h: FeatureMap, in workspace: Workspace
  ) {
    switch self {
    case .own:
      let term = DenseTerm(
        a: weights, aRow: x.features, aStep: 1, b: x.base, bStep: x.stride, bColumn: 1, depth: x.features)
      run([term], rows: outputs, columns: x.columns, into: h.base, stride: h.stride, in: workspace) {
        $0.bias = bias
        $0.rectify = rectify
      }
    case .openblas:
      BLAS.product(
        weights, stride: x.features, x.base, stride: x.stride, rows: outputs, depth: x.features,
        columns: x.columns, into: h.base, stride: h.stride)
      if let bias { kernels.addBias(bias, to: h) }
      if rectify { kernels.rectify(h) }
    }
  }

  /// What a block of rows adds to a weight gradient.
  public struct BlockOfRows {
    /// dH, [outputs][rows].
    public let gradient: FeatureMap
    /// X, [inputs][rows]. What is behind the rows is not read.
    public let input: FeatureMap

    /// A block's dH and X, of the same rows.
    public init(gradient: FeatureMap, input: FeatureMap) {
      self.gradient = gradient
      self.input = input
    }
  }

  /// dW = Σ dH·Xᵀ over blocks of rows, [outputs][inputs]: within a block over the rows, ascending, then over the blocks
  /// along a tree.
  ///
  /// - Parameters:
  ///   - blocks: ascending, at least one.
  ///   - additions: per block, how often the two topmost sums are added once its own is on the stack.
  ///   - share: which part of dW to compute, and of how many: threads take one each.
  ///   - weights: dW, overwritten.
  ///   - workspace: memory for the time of the call.
  public func weightGradient(
    _ blocks: [BlockOfRows], additions: [Int], share: (Int, of: Int) = (0, of: 1), into weights: Floats,
    in workspace: Workspace
  ) {
    guard let first = blocks.first else { return }
    let outputs = first.gradient.features
    let inputs = first.input.features
    guard self == .own else {
      // A part of a product would have other bits.
      if share.0 == 0 { sumByBLAS(blocks, additions: additions, into: weights, in: workspace) }
      return
    }
    // The smaller side is the one that is copied for the loop. That pays where the result is narrow.
    let turned = 24...64 ~= outputs && inputs >= 2 * outputs
    let terms = zip(blocks, additions).map { block, additions in
      let (left, right) = turned ? (block.input, block.gradient) : (block.gradient, block.input)
      return DenseTerm(
        a: left.base, aRow: left.stride, aStep: 1, b: right.base, bStep: 1, bColumn: right.stride,
        depth: block.input.rows, additions: additions)
    }
    run(
      terms, rows: turned ? inputs : outputs, columns: turned ? outputs : inputs, padded: false,
      into: weights, stride: inputs, in: workspace
    ) {
      $0.transposed = turned
      $0.share = share.0
      $0.shares = share.of
    }
  }

  /// dX = Wᵀ·dH, and 0 where X, if given, is not positive: the gradient before the ReLU that gave X.
  public func inputGradient(
    _ weights: UnsafePointer<Float>, _ gradient: FeatureMap, rectifiedBy x: FeatureMap? = nil,
    into result: FeatureMap, in workspace: Workspace
  ) {
    switch self {
    case .own:
      let term = DenseTerm(
        a: weights, aRow: 1, aStep: result.features, b: gradient.base, bStep: gradient.stride, bColumn: 1,
        depth: gradient.features)
      run(
        [term], rows: result.features, columns: gradient.columns, into: result.base, stride: result.stride,
        in: workspace
      ) {
        guard let x else { return }
        $0.activation = UnsafePointer(x.base)
        $0.activationStride = x.stride
      }
    case .openblas:
      BLAS.product(
        weights, stride: result.features, gradient.base, stride: gradient.stride, transposed: (true, false),
        rows: result.features, depth: gradient.features, columns: gradient.columns, into: result.base,
        stride: result.stride)
      if let x { kernels.keepWherePositive(x, in: result) }
    }
  }

  // MARK: Memory

  /// Bytes of the workspace that the three products of a dense layer take at most, one at a time.
  ///
  /// - Parameters:
  ///   - inputs: of the layer.
  ///   - outputs: of the layer.
  ///   - rows: of a block.
  ///   - blocks: those whose weight gradients are summed.
  public func layerWorkspaceBytes(inputs: Int, outputs: Int, rows: Int, blocks: Int = 1) -> Int {
    let columns = FeatureMap.columns(rows: rows)
    guard self == .own else {
      return Workspace.bytes(floats: (DenseWork.stackSlots(terms: blocks) + 1) * inputs * outputs)
    }
    return max(
      DenseProducts.bytes(depth: inputs, columns: columns),
      DenseProducts.bytes(depth: blocks * columns, columns: max(inputs, outputs), terms: blocks),
      DenseProducts.bytes(depth: outputs, columns: columns))
  }

  /// Bytes of the workspace that an own product of at most this size takes while it runs.
  ///
  /// - Parameter terms: products that are summed, at most.
  package static func bytes(depth: Int, columns: Int, terms: Int = 1) -> Int {
    Workspace.bytes(floats: DenseWork.memoryFloats(depth: depth, columns: columns, terms: terms))
  }

  // MARK: How

  private func sumByBLAS(
    _ blocks: [BlockOfRows], additions: [Int], into weights: Floats, in workspace: Workspace
  ) {
    let count = blocks[0].gradient.features * blocks[0].input.features
    var stack: [(sum: Floats, mark: Workspace.Mark)] = []
    for (block, additions) in zip(blocks, additions) {
      let mark = workspace.mark
      let sum = blocks.count == 1 ? weights : workspace.floats(count)
      BLAS.product(
        block.gradient.base, stride: block.gradient.stride, block.input.base, stride: block.input.stride,
        transposed: (false, true), rows: block.gradient.features, depth: block.input.rows,
        columns: block.input.features, into: sum, stride: block.input.features)
      stack.append((sum, mark))
      for _ in 0..<additions {
        let right = stack.removeLast()
        let left = stack[stack.count - 1].sum
        kernels.add(left, right.sum, into: left, count: count)
        workspace.release(to: right.mark)
      }
    }
    if blocks.count > 1 { weights.update(from: stack[0].sum, count: count) }
    if let first = stack.first { workspace.release(to: first.mark) }
  }
}

/// P = A·B for symmetric B, and the Gram matrix: what pairs of samples need, in own kernels.
package enum PairProducts {
  /// The upper triangle of XᵀX, [rows][stride], for X of [features][rows]; below it anything may be written. The stride
  /// holds whole vectors.
  package static func gram(_ x: FeatureMap, into product: Floats, stride: Int, in workspace: Workspace) {
    let term = DenseTerm(
      a: x.base, aRow: 1, aStep: x.stride, b: x.base, bStep: x.stride, bColumn: 1, depth: x.features)
    run([term], rows: x.rows, columns: x.columns, into: product, stride: stride, in: workspace) {
      $0.upperTriangle = true
    }
  }

  /// P·S for P of [features][rows] and a whole symmetric S of [rows][stride].
  package static func product(
    _ p: FeatureMap, _ s: UnsafePointer<Float>, stride: Int, into result: FeatureMap, in workspace: Workspace
  ) {
    let term = DenseTerm(
      a: p.base, aRow: p.stride, aStep: 1, b: s, bStep: stride, bColumn: 1, depth: p.rows)
    run(
      [term], rows: p.features, columns: p.columns, into: result.base, stride: result.stride, in: workspace
    ) { _ in }
  }
}

/// Runs an own product with what the body sets beside the sizes.
private func run(
  _ terms: [DenseTerm], rows: Int, columns: Int, padded: Bool = true, into c: Floats, stride: Int,
  in workspace: Workspace, _ body: (inout DenseWork) -> Void
) {
  let mark = workspace.mark
  defer { workspace.release(to: mark) }
  let floats = DenseWork.memoryFloats(
    depth: terms.reduce(0) { $0 + $1.depth }, columns: columns, terms: terms.count)
  terms.withUnsafeBufferPointer { terms in
    guard let base = terms.baseAddress else { return }
    var work = DenseWork(
      terms: base, termCount: terms.count, rows: rows, columns: columns, c: c, cStride: stride,
      padded: padded, memory: workspace.floats(floats), memoryFloats: floats)
    body(&work)
    kernels.denseProduct(work)
  }
}
