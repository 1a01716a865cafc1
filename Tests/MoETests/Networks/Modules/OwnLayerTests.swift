import Dist
import Foundation
import KernelInterface
import MoE
import Networks
import Numerics
import Testing

/// What a client calls of a mixture layer, against formulas in double precision.
struct OwnLayerTests {
  static let (inputs, outputs, experts, rowCount, blockRows) = (5, 4, 3, 37, 16)

  /// y = W·x + b of a dense layer's tensors.
  static func dense(_ parameters: Parameters, _ x: [Double], outputs: Int) -> [Double] {
    let floats = parameters.floats
    return (0..<outputs).map { o in
      x.indices.reduce(Double(floats[outputs * x.count + o])) {
        $0 + Double(floats[o * x.count + $1]) * x[$1]
      }
    }
  }

  static func softmax(_ z: [Double]) -> [Double] {
    let powers = z.map { exp($0 - (z.max() ?? 0)) }
    return powers.map { $0 / powers.reduce(0, +) }
  }

  /// Blocks of random rows.
  static func maps(_ rows: [[Double]], in workspace: Workspace) -> [FeatureMap] {
    blocks(of: rows.count, each: blockRows).map { range in
      let map = workspace.map(features: rows[0].count, rows: range.count)
      map.write(rows[range].map { $0.map { Float($0) } })
      return map
    }
  }

  @Test func crossEntropyIsItsFormula() {
    let workspace = Workspace()
    let logits = randomScores(rows: Self.rowCount, experts: 6, seed: 11)
    let labels = (0..<Self.rowCount).map { $0 * 5 % 6 }
    let z = Self.maps(logits, in: workspace)
    let gradients = workspace.maps(features: 6, rows: z.map(\.rows))
    let ranges = blocks(of: Self.rowCount, each: Self.blockRows)
    let found = CrossEntropy.perBlock(
      z, labels: ranges.map { Array(labels[$0]) }, batchRows: Self.rowCount, into: gradients, in: workspace)
    func loss(_ logits: [[Double]]) -> Double {
      zip(logits, labels).reduce(0) { $0 - log(Self.softmax($1.0)[$1.1]) } / Double(Self.rowCount)
    }
    #expect(abs(found.reduce(0) { $0 + $1[0] } - loss(logits)) < 1e-6)
    #expect(worstDifference(gradients.flatMap { rows($0) }, logits, loss) < 1e-6)
    for map in gradients {
      for feature in 0..<6 { for column in map.rows..<map.columns { #expect(map[feature][column] == 0) } }
    }
  }

  @Test func splitIsTheAdjointOfJoin() {
    let workspace = Workspace()
    let values = randomScores(rows: Self.rowCount, experts: 3, seed: 12)
    let wide = workspace.map(features: 3, rows: Self.rowCount)
    wide.join(Self.maps(values, in: workspace))
    #expect(rows(wide) == values)
    let parts = workspace.maps(features: 3, rows: [16, 16, 5])
    wide.split(into: parts)
    #expect(parts.flatMap { rows($0) } == values)
  }

  /// y = Σ_e softmax(g(x))_e·(W_e·x + b_e), and ∂/∂x of Σ c∘y through experts and gate.
  @Test(arguments: [false, true]) func mixtureIsItsFormula(replicatesGate: Bool) throws {
    let communicator = LocalCommunicator()
    let layer = MixtureLayer(
      experts: Self.experts, outputs: Self.outputs, blockRows: Self.blockRows,
      scorer: MessageScorer(messageFeatures: Self.experts), replicatesGate: replicatesGate,
      over: communicator,
      gate: { context in
        SoftmaxGate(SequentialSpec([Dense(Self.experts)], input: ImageShape(features: Self.inputs)), context)
      },
      expert: { number, context in
        SequentialSpec([Dense(Self.outputs)], input: ImageShape(features: Self.inputs))
          .makeModule(prefix: "experts.\(number)", isTapped: false, context)
      })
    for parameters in layer.parameters { parameters.initialise(seed: 3) }
    #expect(layer.parameters.count == 1 + Self.experts)

    let workspace = Workspace()
    let x = randomScores(rows: Self.rowCount, experts: Self.inputs, seed: 13, scale: 1)
    let c = randomScores(rows: Self.rowCount, experts: Self.outputs, seed: 14, scale: 1)
    let readout = LinearCombine(.full, temperature: 1)
    let pass = try layer.forward(
      Self.maps(x, in: workspace), features: Self.inputs, layer.batch(rows: Self.rowCount), through: readout,
      at: StepPoint(mode: .training))
    func mixture(_ x: [Double]) -> [Double] {
      let p = Self.softmax(Self.dense(layer.parameters[0], x, outputs: Self.experts))
      let answers = layer.parameters[1...].map { Self.dense($0, x, outputs: Self.outputs) }
      return (0..<Self.outputs).map { o in zip(p, answers).reduce(0) { $0 + $1.0 * $1.1[o] } }
    }
    for (found, x) in zip(pass.outputs.flatMap({ rows($0) }), x) {
      for (a, b) in zip(found, mixture(x)) { #expect(abs(a - b) < 1e-5) }
    }

    let gradients = workspace.maps(features: Self.inputs, rows: pass.outputs.map(\.rows))
    try layer.backward(pass, gradients: Self.maps(c, in: workspace), through: readout, into: gradients)
    let worst = worstDifference(gradients.flatMap { rows($0) }, x) { x in
      zip(x, c).reduce(0) { sum, row in sum + zip(mixture(row.0), row.1).reduce(0) { $0 + $1.0 * $1.1 } }
    }
    #expect(worst < 1e-5)
  }
}
