internal import KernelInterface
internal import MoE
internal import Networks
internal import Numerics
package import Training

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
    /// What the step uses, and what it could use instead.
    package let own: MeasuredRate
    package let openBLAS: MeasuredRate?
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
    if outline.gateComputes, let spec = outline.gateNetwork {
      rows += try network("gate", spec, rows: min(outline.blockRows, outline.batchRows))
    }
    let perExpert = max(1, outline.batchRows * outline.slots / outline.experts)
    guard let spec = outline.expertNetwork else { return rows }
    return rows + (try network("expert", spec, rows: perExpert))
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
        + DenseProducts.allCases.map {
          $0.layerWorkspaceBytes(inputs: inputs, outputs: outputs, rows: rows)
        }.reduce(0, max))
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
      func measured(_ products: DenseProducts) -> MeasuredRate {
        MeasuredRate(flops: flops, seconds: seconds) { run(products) }
      }
      return Row(
        network: network, layer: layer, pass: pass, shape: "\(outputs)×\(inputs)×\(rows)", flops: flops,
        own: measured(.own), openBLAS: measured(.openblas))
    }
    return [
      row("forward") { $0.forward(weights, outputs: outputs, x, into: h, in: workspace) },
      row("weight gradient") {
        $0.weightGradient([.init(gradient: h, input: x)], additions: [0], into: gradients, in: workspace)
      },
      row("input gradient") { $0.inputGradient(weights, h, into: dx, in: workspace) },
    ]
  }

  // MARK: Convolutions

  /// The network's convolutions with what is fused to them, beside OpenBLAS's product of the unfolded images, without
  /// the unfolding.
  private func convolutions(_ name: String, _ whole: NetworkSpec, rows: Int) throws -> [Row] {
    let spec = NetworkSpec(
      input: whole.input, convolutions: whole.convolutions, hidden: [], outputs: 1)
    let rows = min(rows, 128)
    let parameters = Parameters(spec.tensors(prefix: "measured"), training: true)
    for place in parameters.places { place.spec.initialise(seed: 0, into: parameters.values + place.offset) }
    let maps = Workspace(
      capacity: Workspace.bytes(floats: Tiles.floats(pixels: spec.input.pixels, rows: rows))
        + 2 * Workspace.bytes(floats: FeatureMap.count(features: spec.convolvedFeatures, rows: rows)))
    let input = Tiles(
      base: maps.floats(Tiles.floats(pixels: spec.input.pixels, rows: rows)), pixels: spec.input.pixels,
      rows: rows)
    let output = maps.map(features: spec.convolvedFeatures, rows: rows)
    let gradient = maps.map(features: spec.convolvedFeatures, rows: rows)
    fillWithNoise(input.base, Tiles.floats(pixels: spec.input.pixels, rows: rows))
    fillWithNoise(gradient.base, gradient.features * gradient.stride)
    let workspace = Workspace(capacity: 2 * spec.workspaceBytes(rows: rows) + 4096)
    let convolutions = MeasuredConvolutions(spec, parameters, input, output, gradient, workspace)
    let forwardFlops = Double(rows * spec.stages.reduce(0) { $0 + $1.flops })
    let backwardFlops = 2 * forwardFlops - Double(rows * (spec.stages.first?.flops ?? 0))
    let ahead = try MeasuredRate(flops: forwardFlops, seconds: 2 * seconds) { try convolutions.forward() }
    let both = try MeasuredRate(flops: forwardFlops + backwardFlops, seconds: 2 * seconds) {
      try convolutions.forward()
      try convolutions.backward()
    }
    let shape = spec.stages.map { "\($0.filters)×\($0.inputs * $0.taps)×\($0.positions)" }.joined(
      separator: " ")
    func row(_ pass: String, _ flops: Double, _ own: MeasuredRate, _ openBLAS: MeasuredRate?) -> Row {
      Row(
        network: name, layer: "convolutions", pass: pass, shape: shape, flops: flops, own: own,
        openBLAS: openBLAS)
    }
    return [
      row("forward", forwardFlops, ahead, unfoldedRate(spec)),
      row("backward", backwardFlops, both.without(ahead, flops: (forwardFlops, backwardFlops)), nil),
    ]
  }

  /// OpenBLAS's rate in the convolutions' shapes, sixteen images at a time.
  private func unfoldedRate(_ spec: NetworkSpec) -> MeasuredRate {
    let products = spec.stages.map { stage in
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
      return (workspace: workspace, x: x, h: h, weights: weights)
    }
    let flops = products.reduce(0.0) { $0 + 2 * Double($1.h.features * $1.x.features * $1.x.rows) }
    return MeasuredRate(flops: flops, seconds: seconds) {
      for product in products {
        DenseProducts.openblas.forward(
          product.weights, outputs: product.h.features, product.x, into: product.h, in: product.workspace)
      }
    }
  }
}

/// The convolutions of a network with what is fused to them, on one block.
private final class MeasuredConvolutions {
  private let parameters: Parameters
  private let input: Tiles
  private let output: FeatureMap
  private let gradient: FeatureMap
  private let workspace: Workspace
  private let stem: ConvolutionStem?
  private let stack: ConvolutionStack?
  private var which: UnsafeMutablePointer<UInt8>
  private var passes: [ConvolutionStack.Pass] = []

  init(
    _ spec: NetworkSpec, _ parameters: Parameters, _ input: Tiles, _ output: FeatureMap,
    _ gradient: FeatureMap, _ workspace: Workspace
  ) {
    self.parameters = parameters
    self.input = input
    self.output = output
    self.gradient = gradient
    self.workspace = workspace
    stem =
      spec.hasStem
      ? ConvolutionStem(spec, prefix: "measured", parameters: parameters, team: .alone()) : nil
    stack =
      spec.hasStem
      ? nil
      : ConvolutionStack(
        spec, prefix: "measured", parameters: parameters, sums: WholeBatch(), team: .alone())
    which = workspace.bytes(output.features * output.columns)
  }

  func forward() throws {
    workspace.reset()
    if let stem {
      which = workspace.bytes(output.features * output.columns)
      try stem.prepare([input], mode: .training, WholeBatch())
      stem.forward(input, into: output, which: which)
    }
    if let stack {
      passes = try stack.forward([input], into: [output], mode: .training, in: [workspace])
    }
  }

  func backward() throws {
    guard let training = parameters.training else { return }
    if let stem {
      stem.writeGradients(
        stem.backward(input, activation: output, gradient: gradient, which: which), into: training.gradients)
    }
    if let stack {
      try stack.backward(passes, gradients: [gradient], into: [training.gradients], in: [workspace])
      stack.writeNormGradients(into: training.gradients)
    }
  }
}

extension MeasuredRate {
  /// The rate of what is done beside another part, from both together.
  fileprivate func without(_ part: MeasuredRate, flops: (part: Double, rest: Double)) -> MeasuredRate {
    func rest(_ whole: Double, _ part: Double) -> Double {
      flops.rest / max((flops.part + flops.rest) / whole - flops.part / part, 1e-30)
    }
    return MeasuredRate(rate: rest(rate, part.rate), share: rest(share, part.share))
  }
}

/// Numbers around 0 that are neither equal nor tiny.
func fillWithNoise(_ base: Floats, _ count: Int) {
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
