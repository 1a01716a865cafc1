import KernelInterface
import Networks
import Numerics
import Testing

/// Whole networks of several convolutions against the plain double-precision ones of ``ReferenceNetwork``.
struct ConvolutionNetworkTests {
  /// Four stages with odd sizes and odd numbers of channels, BatchNorm in the second and the fourth; and the shapes that
  /// a single stage takes beside the one-channel stem.
  static let specs = [
    NetworkSpec(
      input: ImageShape(channels: 3, height: 20, width: 22),
      convolutions: [
        ConvolutionLayer(filters: 5, padding: 1),
        ConvolutionLayer(filters: 6, padding: 1, batchNorm: true, bias: false),
        ConvolutionLayer(filters: 7, padding: 1),
        ConvolutionLayer(filters: 3, padding: 1, batchNorm: true, bias: false),
      ], hidden: [9], outputs: 4),
    NetworkSpec(
      input: ImageShape(channels: 1, height: 12, width: 12),
      convolutions: [ConvolutionLayer(filters: 2, kernel: 5)], hidden: [6, 5], outputs: 3),
    NetworkSpec(
      input: ImageShape(channels: 1, height: 11, width: 11),
      convolutions: [ConvolutionLayer(filters: 3, kernel: 5, batchNorm: true)], hidden: [6], outputs: 3),
    NetworkSpec(
      input: ImageShape(channels: 3, height: 8, width: 8), filters: 4, batchNorm: true, hidden: [5],
      outputs: 2),
  ]

  /// A network with random tensors (negative BatchNorm scales among them), a batch, and everything's plain counterpart.
  final class Fixture {
    let spec: NetworkSpec
    let network: Network
    let workspace = Workspace()
    let rows: [[Double]]
    let blockRows: Int
    let blocks: [Tiles]
    private let memory: [Floats]

    init(_ spec: NetworkSpec, rows count: Int, blockRows: Int, seed: UInt64) {
      self.spec = spec
      self.blockRows = blockRows
      network = Network(spec, prefix: "net", training: true)
      var values = KernelTests.Values(state: seed)
      for place in network.parameters.places {
        let target = network.parameters.values + place.offset
        place.spec.initialise(seed: seed, into: target)
        guard place.spec.name.contains(".bn") else { continue }
        for i in 0..<place.spec.count {
          let positive = place.spec.name.hasSuffix("running_var")
          target[i] = positive ? 0.5 + abs(values.next()) : values.next()
        }
      }
      let pixels = spec.input.channels * spec.input.height * spec.input.width
      let images = (0..<count).map { _ in (0..<pixels).map { _ in values.next() } }
      rows = images.map { $0.map { Double($0) } }
      var memory: [Floats] = []
      var blocks: [Tiles] = []
      for first in stride(from: 0, to: count, by: blockRows) {
        let inBlock = min(blockRows, count - first)
        let floats = Tiles.floats(pixels: pixels, rows: inBlock)
        let base = Floats.allocate(capacity: floats)
        base.initialize(repeating: 0, count: floats)
        let tiles = Tiles(base: base, pixels: pixels, rows: inBlock)
        for row in 0..<inBlock {
          for pixel in 0..<pixels { tiles[row / 16][pixel * 16 + row % 16] = images[first + row][pixel] }
        }
        memory.append(base)
        blocks.append(tiles)
      }
      self.memory = memory
      self.blocks = blocks
    }

    deinit { for base in memory { base.deallocate() } }

    var plain: ReferenceNetwork { ReferenceNetwork(spec, name: "net") }
    /// Tensors by name.
    var tensors: Tensors { read(network.parameters.values) }

    func read(_ base: Floats) -> Tensors {
      var result: Tensors = [:]
      for place in network.parameters.places where base == network.parameters.values || place.spec.isTrained {
        result[place.spec.name] = (0..<place.spec.count).map { Double(base[place.offset + $0]) }
      }
      return result
    }

    func outputs(_ passes: [Network.Pass]) -> [[Double]] {
      passes.flatMap { pass in
        (0..<pass.output.rows).map { row in
          (0..<pass.output.features).map { Double(pass.output[$0][row]) }
        }
      }
    }

    /// Memory for every block.
    var pieces: [Workspace] { blocks.map { _ in workspace.piece() } }

    /// Forward and backward in training; the outputs and the gradients.
    func step(_ outputGradient: [[Double]]) throws -> (outputs: [[Double]], gradients: Tensors) {
      workspace.reset()
      let passes = try network.forward(blocks, mode: .training, in: blocks.map { _ in workspace.piece() })
      let found = outputs(passes)
      let gradients = passes.enumerated().map { block, pass in
        let map = workspace.map(features: spec.outputs, rows: pass.output.rows)
        map.clear()
        for row in 0..<map.rows {
          for o in 0..<spec.outputs { map[o][row] = Float(outputGradient[block * blockRows + row][o]) }
        }
        return map
      }
      try network.backward(passes, gradients: gradients)
      return (found, read(network.parameters.training!.gradients))
    }
  }

  static func outputGradient(_ spec: NetworkSpec, rows: Int) -> [[Double]] {
    var values = KernelTests.Values(state: 97)
    return (0..<rows).map { _ in (0..<spec.outputs).map { _ in Double(values.next()) } }
  }

  static func norm(_ x: [Double]) -> Double { x.reduce(0) { $0 + $1 * $1 }.squareRoot() }

  /// As one block (an expert) and as several (a gate); rows that fill no tile, and one row.
  @Test(arguments: specs, [(1, 16), (5, 16), (37, 64), (37, 16)])
  func trainingMatchesTheReference(_ spec: NetworkSpec, _ sizes: (rows: Int, blockRows: Int)) throws {
    let fixture = Fixture(spec, rows: sizes.rows, blockRows: sizes.blockRows, seed: 3)
    let plain = fixture.plain
    let p = fixture.tensors
    let r = ConvolutionNetworkTests.outputGradient(spec, rows: sizes.rows)
    let trace = plain.forward(fixture.rows, p, training: true)
    let expected = plain.backward(trace, r, p)
    for _ in 0..<2 {
      let (outputs, gradients) = try fixture.step(r)
      #expect(PlaneKernelTests.difference(outputs, trace.logits) < 1e-5)
      for (name, gradient) in expected {
        let found = gradients[name] ?? []
        let size = ConvolutionNetworkTests.norm(gradient)
        let error = ConvolutionNetworkTests.norm(zip(found, gradient).map { $0 - $1 })
        let allowed = 1e-5 * size + 1e-6
        #expect(found.count == gradient.count)
        #expect(error <= allowed, "\(name): \(error) of \(size)")
        if name.hasPrefix("net.conv"), name.hasSuffix("bias"),
          spec.convolutions[Int(name.dropFirst(8).prefix(1))! - 1].batchNorm
        {
          #expect(found.allSatisfy { $0 == 0 }, "a bias before BatchNorm has no gradient")
        }
      }
    }
  }

  @Test(arguments: specs)
  func runningStatisticsMoveTowardsTheBatch(_ spec: NetworkSpec) throws {
    let fixture = Fixture(spec, rows: 21, blockRows: 16, seed: 5)
    let before = fixture.tensors
    let trace = fixture.plain.forward(fixture.rows, before, training: true)
    _ = try fixture.step(ConvolutionNetworkTests.outputGradient(spec, rows: 21))
    let after = fixture.tensors
    for (name, expected) in trace.statistics {
      #expect(PlaneKernelTests.difference([after[name] ?? []], [expected]) < 1e-6, "\(name)")
      #expect(after[name]?.count == expected.count && after[name] != before[name])
    }
    #expect(trace.statistics.count == 2 * spec.convolutions.count(where: \.batchNorm))
  }

  @Test(arguments: specs)
  func evaluationUsesRunningStatisticsAndTouchesNothing(_ spec: NetworkSpec) throws {
    let fixture = Fixture(spec, rows: 21, blockRows: 32, seed: 6)
    let before = fixture.tensors
    let expected = fixture.plain.forward(fixture.rows, before, training: false).logits
    let block = fixture.outputs(
      try fixture.network.forward([fixture.blocks[0]], mode: .evaluation, in: [fixture.workspace]))
    #expect(PlaneKernelTests.difference(block, expected) < 1e-5)
    fixture.workspace.reset()
    let all = fixture.outputs(
      try fixture.network.forward(fixture.blocks, mode: .evaluation, in: fixture.pieces))
    #expect(all == block)
    #expect(fixture.tensors == before)
  }

  /// The same batch gives the same bits again, whatever lay in the workspace before.
  @Test func aStepDependsOnItsInputsAlone() throws {
    let spec = ConvolutionNetworkTests.specs[0]
    let fixture = Fixture(spec, rows: 37, blockRows: 16, seed: 8)
    let r = ConvolutionNetworkTests.outputGradient(spec, rows: 37)
    let first = try fixture.step(r)
    fixture.workspace.overwrite(with: .nan)
    let second = try fixture.step(r)
    #expect(first.outputs == second.outputs)
    #expect(first.gradients == second.gradients)
  }

  /// The combining step sees every block's sums in order, and its result is what is used.
  @Test func blocksAreCombinedByTheGivenStep() throws {
    final class Seen: BlockSums {
      var counts: [[Double]] = []
      private let whole = WholeBatch()

      func nodes(ofBlocks blocks: Int) -> [BlockNode] { whole.nodes(ofBlocks: blocks) }
      func combine(_ perBlock: [[Double]], length: Int) -> [Double] {
        counts.append(perBlock.compactMap(\.last))
        return whole.combine(perBlock, length: length)
      }
      func total(_ nodes: [NodeSum], count: Int, into gradients: Floats) {
        whole.total(nodes, count: count, into: gradients)
      }
    }
    let seen = Seen()
    let spec = ConvolutionNetworkTests.specs[3]
    let fixture = Fixture(spec, rows: 37, blockRows: 16, seed: 9)
    let network = Network(spec, prefix: "net", training: true, sums: seen)
    network.parameters.values.update(from: fixture.network.parameters.values, count: network.parameters.count)
    let found = fixture.outputs(try network.forward(fixture.blocks, mode: .training, in: fixture.pieces))
    // Values per channel: rows × 6 × 6 positions.
    let valuesPerChannel: [[Double]] = [[576, 576, 180]]
    #expect(seen.counts == valuesPerChannel)
    fixture.workspace.reset()
    let usual = fixture.outputs(
      try fixture.network.forward(fixture.blocks, mode: .training, in: fixture.pieces))
    #expect(found == usual)
  }

  // MARK: The paper's networks

  struct Published: Sendable {
    var family: String
    var input: ImageShape
    var classes: Int
    var experts: Int
    var expertParameters: Int
    var gateParameters: Int
  }

  /// The counts of arXiv 2302.14703 and its code.
  @Test(arguments: [
    Published(
      family: "mnist", input: ImageShape(channels: 1, height: 28, width: 28), classes: 10, experts: 5,
      expertParameters: 1_382, gateParameters: 26_063),
    Published(
      family: "fashion-mnist", input: ImageShape(channels: 1, height: 28, width: 28), classes: 10,
      experts: 5, expertParameters: 13_300, gateParameters: 709_413),
    Published(
      family: "combined", input: ImageShape(channels: 1, height: 28, width: 28), classes: 12, experts: 6,
      expertParameters: 1_448, gateParameters: 22_912),
    Published(
      family: "cifar", input: ImageShape(channels: 3, height: 32, width: 32), classes: 100, experts: 20,
      expertParameters: 911_012, gateParameters: 3_917_332),
    Published(
      family: "cifar-small", input: ImageShape(channels: 3, height: 32, width: 32), classes: 100,
      experts: 20, expertParameters: 72_260, gateParameters: 2_634_836),
  ])
  func parametersAreAsPublished(_ published: Published) throws {
    let family = try #require(PaperNetworks.named(published.family))
    #expect(family.misfit(published.input) == nil)
    #expect(
      family.expert(input: published.input, classes: published.classes).parameterCount
        == published.expertParameters)
    #expect(
      family.gate(input: published.input, experts: published.experts).parameterCount
        == published.gateParameters)
  }

  /// 2 per multiply-add, padded taps included: convolutions 3→16→32→64→128 at 32², 16², 8², 4² and the dense layers.
  @Test func flopsCountEveryTap() throws {
    let family = try #require(PaperNetworks.named("cifar"))
    let expert = family.expert(input: ImageShape(channels: 3, height: 32, width: 32), classes: 100)
    let first = 2 * 9 * 3 * 16 * 1024
    let others = 2 * 9 * (16 * 32 * 256 + 32 * 64 * 64 + 64 * 128 * 16)
    let dense = 2 * (512 * 1024 + 1024 * 256 + 256 * 100)
    #expect(expert.forwardFlops == first + others + dense)
    #expect(expert.backwardFlops == first + 2 * (others + dense))
  }

  @Test func tensorNamesAreThoseOfPyTorch() throws {
    let family = try #require(PaperNetworks.named("cifar"))
    let gate = family.gate(input: ImageShape(channels: 3, height: 32, width: 32), experts: 20)
    let tensors = gate.tensors(prefix: "gate")
    let shapes = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0.shape) })
    #expect(shapes["gate.conv1.weight"] == [64, 3, 3, 3])
    #expect(shapes["gate.conv4.weight"] == [512, 256, 3, 3])
    #expect(shapes["gate.conv3.bias"] == [256])
    #expect(shapes["gate.conv2.bias"] == nil && shapes["gate.conv4.bias"] == nil)
    #expect(shapes["gate.bn2.running_var"] == [128] && shapes["gate.bn4.weight"] == [512])
    #expect(shapes["gate.bn1.weight"] == nil && shapes["gate.bn3.weight"] == nil)
    #expect(shapes["gate.fc1.weight"] == [1024, 2048] && shapes["gate.out.bias"] == [20])
    #expect(tensors.first { $0.name == "gate.conv2.weight" }?.role == .weight(fanIn: 64 * 9))
  }

  @Test func imagesThatDoNotFitAreRefused() throws {
    let family = try #require(PaperNetworks.named("cifar"))
    for (channels, side) in [(1, 28), (3, 28), (1, 32), (3, 32), (3, 16)] {
      #expect(family.misfit(ImageShape(channels: channels, height: side, width: side)) == nil)
    }
    let reason = try #require(family.misfit(ImageShape(channels: 3, height: 15, width: 32)))
    #expect(reason.contains("15×32") && reason.contains("convolution 4"))
    let combined = try #require(PaperNetworks.named("combined"))
    #expect(combined.misfit(ImageShape(channels: 1, height: 5, width: 5)) != nil)
  }
}
