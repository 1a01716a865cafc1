/// A set of dense products that can be measured.
struct DenseProducts: Sendable {
  let name: String
  /// H = W·X of [outputs][inputs] and [inputs][rows].
  let forward: @Sendable (Floats, Int, FeatureMap, FeatureMap, Workspace) -> Void
  /// dW = dH·Xᵀ.
  let weightGradient: @Sendable (FeatureMap, FeatureMap, Floats, Workspace) -> Void
  /// dX = Wᵀ·dH.
  let inputGradient: @Sendable (Floats, FeatureMap, FeatureMap, Workspace) -> Void

  static let own = DenseProducts(
    name: "own", forward: { DenseProduct.forward($0, outputs: $1, $2, into: $3, in: $4) },
    weightGradient: {
      DenseProduct.weightGradient([.init(gradient: $0, input: $1)], additions: [0], into: $2, in: $3)
    },
    inputGradient: { DenseProduct.inputGradient($0, $1, into: $2, in: $3) })

  /// Over the same memory without the padding between features.
  static let openBLAS = DenseProducts(
    name: "OpenBLAS",
    forward: { weights, outputs, x, h, _ in
      BLAS.product(
        weights, x.base, rows: outputs, depth: x.features, columns: x.columns, into: h.base)
    },
    weightGradient: { gradient, x, weights, _ in
      BLAS.product(
        gradient.base, x.base, transposed: (false, true), rows: gradient.features, depth: x.columns,
        columns: x.features, into: weights)
    },
    inputGradient: { weights, gradient, x, _ in
      BLAS.product(
        weights, gradient.base, transposed: (true, false), rows: x.features, depth: gradient.features,
        columns: gradient.columns, into: x.base)
    })

  /// What is measured; the first is what the step uses.
  static let all = [own, openBLAS]
}

/// Matrix products in the shapes of a model's networks, as shares of the core's peak.
package struct ProductBenchmark {
  /// One product or one network's convolutions.
  package struct Row: Equatable {
    package let network: String
    package let layer: String
    /// `forward`, `weight gradient`, `input gradient`, `backward`.
    package let pass: String
    /// Outputs × inputs × rows.
    package let shape: String
    package let flops: Double
    /// FLOP/s by name of the kernels; the step's come first.
    package let rates: [(kernels: String, rate: Double)]

    package static func == (a: Row, b: Row) -> Bool {
      a.network == b.network && a.layer == b.layer && a.pass == b.pass && a.shape == b.shape
        && a.flops == b.flops && a.rates.map(\.rate) == b.rates.map(\.rate)
    }
  }

  private let outline: ModelOutline
  /// Seconds that one product is repeated for.
  private let seconds: Double

  package init(_ outline: ModelOutline, seconds: Double = 0.02) {
    self.outline = outline
    self.seconds = seconds
  }

  /// Measures all shapes on this rank.
  package func measure() throws -> [Row] {
    BLAS.useOneThread()
    var rows: [Row] = []
    if outline.gateComputes {
      let spec = outline.gateRequest.family.gate(input: outline.input, experts: outline.experts)
      rows += try network("gate", spec, rows: min(outline.blockRows, outline.batchRows))
    }
    let perExpert = max(1, outline.batchRows * outline.slots / outline.experts)
    return rows + (try network("expert", outline.expertSpec, rows: perExpert))
  }

  private func network(_ name: String, _ spec: NetworkSpec, rows: Int) throws -> [Row] {
    try convolutions(name, spec, rows: rows)
      + zip(spec.denseNames, spec.dense).flatMap { layer, size in
        dense(name, layer, inputs: size.inputs, outputs: size.outputs, rows: rows)
      }
  }

  // MARK: Dense layers

  private func dense(_ network: String, _ layer: String, inputs: Int, outputs: Int, rows: Int) -> [Row] {
    let workspace = Workspace(
      capacity: Workspace.bytes(floats: 2 * FeatureMap.count(features: inputs, rows: rows))
        + Workspace.bytes(floats: FeatureMap.count(features: outputs, rows: rows))
        + 2 * Workspace.bytes(floats: inputs * outputs) + 1024
        + DenseProduct.layerWorkspaceBytes(inputs: inputs, outputs: outputs, rows: rows))
    let x = workspace.map(features: inputs, rows: rows)
    let dx = workspace.map(features: inputs, rows: rows)
    let h = workspace.map(features: outputs, rows: rows)
    let weights = workspace.floats(inputs * outputs)
    let gradients = workspace.floats(inputs * outputs)
    fillWithNoise(x.base, inputs * x.stride)
    fillWithNoise(weights, inputs * outputs)
    fillWithNoise(h.base, outputs * h.stride)
    let flops = 2 * Double(inputs * outputs * rows)
    func row(_ pass: String, _ run: (DenseProducts) -> Void) -> Row {
      Row(
        network: network, layer: layer, pass: pass, shape: "\(outputs)×\(inputs)×\(rows)", flops: flops,
        rates: DenseProducts.all.map { products in
          (products.name, flops / secondsPerCall(for: seconds) { run(products) })
        })
    }
    return [
      row("forward") { $0.forward(weights, outputs, x, h, workspace) },
      row("weight gradient") { $0.weightGradient(h, x, gradients, workspace) },
      row("input gradient") { $0.inputGradient(weights, h, dx, workspace) },
    ]
  }

  // MARK: Convolutions

  /// The network's convolutions with what is fused to them, beside OpenBLAS's product of the unfolded images, without
  /// the unfolding.
  private func convolutions(_ name: String, _ whole: NetworkSpec, rows: Int) throws -> [Row] {
    let spec = NetworkSpec(
      input: whole.input, convolutions: whole.convolutions, hidden: [], outputs: 1)
    let rows = min(rows, 128)
    let network = Network(spec, prefix: "measured", training: true)
    for place in network.parameters.places {
      initialise(place.spec, seed: 0, into: network.parameters.values + place.offset)
    }
    let tiles = Workspace(
      capacity: Workspace.bytes(floats: Tiles.floats(pixels: spec.input.pixels, rows: rows))
        + Workspace.bytes(floats: FeatureMap.count(features: 1, rows: rows)))
    let input = Tiles(
      base: tiles.floats(Tiles.floats(pixels: spec.input.pixels, rows: rows)), pixels: spec.input.pixels,
      rows: rows)
    fillWithNoise(input.base, Tiles.floats(pixels: spec.input.pixels, rows: rows))
    let gradient = tiles.map(features: 1, rows: rows)
    let workspace = Workspace(capacity: 2 * spec.workspaceBytes(rows: rows) + 4096)
    func forward() throws -> [Network.Pass] {
      workspace.reset()
      return try network.forward([input], mode: .training, in: workspace)
    }
    let forwardSeconds = try secondsPerCall(for: 2 * seconds) { _ = try forward() }
    let both = try secondsPerCall(for: 2 * seconds) {
      let passes = try forward()
      gradient.clear()
      for row in 0..<rows { gradient.base[row] = 1e-3 }
      try network.backward(passes, gradients: [gradient])
    }
    let forwardFlops = Double(rows * spec.forwardFlops)
    let backwardFlops = Double(rows * spec.backwardFlops)
    let shape = spec.stages.map { "\($0.filters)×\($0.inputs * $0.taps)×\($0.positions)" }.joined(
      separator: " ")
    return [
      Row(
        network: name, layer: "convolutions", pass: "forward", shape: shape, flops: forwardFlops,
        rates: [("own", forwardFlops / forwardSeconds), ("OpenBLAS", unfoldedRate(spec))]),
      Row(
        network: name, layer: "convolutions", pass: "backward", shape: shape, flops: backwardFlops,
        rates: [("own", backwardFlops / max(both - forwardSeconds, 1e-9))]),
    ]
  }

  /// FLOP/s of OpenBLAS in the convolutions' shapes, sixteen images at a time.
  private func unfoldedRate(_ spec: NetworkSpec) -> Double {
    var flops = 0.0
    var time = 0.0
    for stage in spec.stages {
      let inputs = stage.inputs * stage.taps
      let columns = stage.positions * laneCount
      let workspace = Workspace(
        capacity: Workspace.bytes(floats: FeatureMap.count(features: inputs + stage.filters, rows: columns))
          + Workspace.bytes(floats: inputs * stage.filters) + 256)
      let x = workspace.map(features: inputs, rows: columns)
      let h = workspace.map(features: stage.filters, rows: columns)
      let weights = workspace.floats(inputs * stage.filters)
      fillWithNoise(x.base, inputs * x.stride)
      fillWithNoise(weights, inputs * stage.filters)
      time += secondsPerCall(for: seconds) {
        BLAS.product(
          weights, x.base, rows: stage.filters, depth: inputs, columns: columns, into: h.base)
      }
      flops += 2 * Double(inputs * stage.filters * columns)
    }
    return flops / time
  }
}

/// Numbers around 0 that are neither equal nor tiny.
private func fillWithNoise(_ base: Floats, _ count: Int) {
  var state: UInt32 = 12_345
  for i in 0..<count {
    state = state &* 1_664_525 &+ 1_013_904_223
    base[i] = Float(Int32(bitPattern: state)) * (1 / 2_147_483_648)
  }
}

/// The median time of a call, repeated for so many seconds, at least five times.
func secondsPerCall(for seconds: Double, _ body: () throws -> Void) rethrows -> Double {
  try body()
  var times: [Double] = []
  let start = PhaseClock.now()
  repeat {
    let begin = PhaseClock.now()
    try body()
    times.append(PhaseClock.now() - begin)
  } while times.count < 5 || (PhaseClock.now() - start < seconds && times.count < 10_000)
  return Quantiles(times).median
}
