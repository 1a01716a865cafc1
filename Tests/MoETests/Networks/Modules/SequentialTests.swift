import KernelInterface
import Networks
import Numerics
import Testing

/// Compositions of layers against their formulas in double precision, forward and backward.
struct SequentialTests {
  struct Case: CustomStringConvertible, Sendable {
    let name: String
    let layers: [any Layer]
    let input: ImageShape
    var description: String { name }
  }

  static let cases = [
    Case(name: "dense", layers: [Dense(7), Dense(3, label: "out")], input: ImageShape(features: 5)),
    Case(
      name: "rectified", layers: [Dense(19, rectified: true), ReLU(), Dense(4, label: "out")],
      input: ImageShape(features: 6)),
    Case(
      name: "gelu", layers: [Dense(9), GELU(), Dense(4, label: "out")], input: ImageShape(features: 6)),
    Case(
      name: "residual", layers: [Dense(5), Residual([Dense(8, rectified: true), Dense(5)]), Dense(2)],
      input: ImageShape(features: 3)),
    Case(
      name: "convolutions",
      layers: [
        Convolution(filters: 3, kernel: 3, padding: 1), BatchNorm(), ReLU(), MaxPool(),
        Convolution(filters: 2, kernel: 2, padding: 0), Dense(3, label: "out"),
      ], input: ImageShape(channels: 2, height: 7, width: 6)),
    Case(
      name: "wide kernel",
      layers: [Convolution(filters: 2, kernel: 5, padding: 2), BatchNorm(), Dense(3)],
      input: ImageShape(channels: 1, height: 6, width: 5)),
    Case(
      name: "unpadded", layers: [Convolution(filters: 4, kernel: 3, padding: 0), MaxPool(), Dense(3)],
      input: ImageShape(channels: 2, height: 6, width: 7)),
  ]

  /// Rows in blocks of sixteen, the last of them partial; memory behind the rows holds numbers that nobody may read.
  static let rowCount = 37
  static let blockRows = 16

  final class Fixture {
    let module: Sequential
    let plain: ReferenceLayers
    let tensors: Tensors
    let rows: [[Double]]
    let workspace = Workspace()

    init(_ test: Case, seed: UInt64) {
      module = Sequential(SequentialSpec(test.layers, input: test.input), prefix: "net", ModuleContext())
      var values = KernelTests.Values(state: seed)
      var tensors: Tensors = [:]
      for parameters in module.parameters {
        for place in parameters.places {
          let target = parameters.values + place.offset
          place.spec.initialise(seed: seed, into: target)
          if place.spec.name.contains(".bn") {
            for i in 0..<place.spec.count where place.spec.isTrained { target[i] = values.next() }
          }
          tensors[place.spec.name] = (0..<place.spec.count).map { Double(target[$0]) }
        }
      }
      self.tensors = tensors
      plain = ReferenceLayers(SequentialSpec(test.layers, input: test.input), prefix: "net")
      rows = (0..<SequentialTests.rowCount).map { _ in
        (0..<test.input.pixels).map { _ in Double(values.next()) }
      }
    }

    func maps(_ features: Int) -> [FeatureMap] {
      stride(from: 0, to: rowCount, by: blockRows).map {
        let map = workspace.map(features: features, rows: min(blockRows, rowCount - $0))
        map.base.update(repeating: 3, count: features * map.stride)
        return map
      }
    }

    func filled(_ values: [[Double]], padding: Float) -> [FeatureMap] {
      let maps = maps(values[0].count)
      for (block, map) in maps.enumerated() {
        for feature in 0..<map.features {
          for column in 0..<map.columns {
            map[feature][column] =
              column < map.rows ? Float(values[block * blockRows + column][feature]) : padding
          }
        }
      }
      return maps
    }

    func read(_ maps: [FeatureMap]) -> [[Double]] {
      maps.flatMap { map in
        (0..<map.rows).map { row in (0..<map.features).map { Double(map[$0][row]) } }
      }
    }

    struct Found {
      let outputs: [[Double]]
      let taps: [[Double]]
      let inputs: [[Double]]
      let gradients: Tensors
    }

    /// A step in training from the gradients of outputs and tapped values.
    func step(_ r: [[Double]], _ tapped: [[Double]]?, inputs: Bool = true) throws -> Found {
      workspace.reset()
      let blocks = filled(rows, padding: 5)
      let pieces = blocks.map { _ in workspace.piece() }
      let outputs = maps(module.outputs)
      let taps = tapped == nil ? nil : maps(module.tapped)
      let pass = try module.forward(
        blocks.map { .features($0) }, into: outputs, taps: taps, mode: .training, in: pieces)
      let found = (read(outputs), read(taps ?? []))
      let dx = inputs ? maps(module.inputs) : nil
      try module.backward(
        pass, gradients: filled(r, padding: 0), taps: tapped.map { filled($0, padding: 0) }, inputs: dx)
      var gradients: Tensors = [:]
      for parameters in module.parameters {
        for place in parameters.places where place.spec.isTrained {
          gradients[place.spec.name] = (0..<place.spec.count).map {
            Double(parameters.training!.gradients[place.offset + $0])
          }
        }
      }
      for map in dx ?? [] {
        for feature in 0..<map.features {
          for column in map.rows..<map.columns { #expect(map[feature][column] == 0) }
        }
      }
      return Found(outputs: found.0, taps: found.1, inputs: read(dx ?? []), gradients: gradients)
    }
  }

  private static func numbers(_ rows: Int, _ features: Int, seed: UInt64) -> [[Double]] {
    var values = KernelTests.Values(state: seed)
    return (0..<rows).map { _ in (0..<features).map { _ in Double(values.next()) } }
  }

  @Test(arguments: cases)
  func outputsAreTheFormulas(_ test: Case) throws {
    let fixture = Fixture(test, seed: 11)
    let r = Self.numbers(Self.rowCount, fixture.module.outputs, seed: 5)
    let found = try fixture.step(r, nil, inputs: false)
    let expected = fixture.plain.forward(fixture.rows, fixture.tensors).outputs
    #expect(PlaneKernelTests.difference(found.outputs, expected) < 1e-5)
  }

  /// Of Σ r·output + Σ t·tap, every entry. Single precision errs by about 1e-5 of a tensor's largest gradient, and by 2e-5 in a
  /// sum of a thousand terms of about 1, which the bias before BatchNorm is.
  @Test(arguments: cases)
  func gradientsAreTheFormulas(_ test: Case) throws {
    let fixture = Fixture(test, seed: 23)
    let spec = SequentialSpec(test.layers, input: test.input)
    let isTapped = test.name != "rectified" && test.name != "residual"
    let r = Self.numbers(Self.rowCount, fixture.module.outputs, seed: 6)
    let t = isTapped ? Self.numbers(Self.rowCount, fixture.module.tapped, seed: 7) : nil
    let found = try fixture.step(r, t)
    let pass = fixture.plain.forward(fixture.rows, fixture.tensors)
    let tapped = try #require(fixture.plain.withTensors.dropLast().last)
    if let t {
      #expect(t[0].count == spec.tapped)
      #expect(PlaneKernelTests.difference(found.taps, pass.layers[tapped].y) < 1e-5)
    }
    var expected: Tensors = [:]
    let ofRows = fixture.plain.backward(
      pass, r, tap: t.map { (layer: tapped, gradient: $0) }, fixture.tensors, &expected)
    #expect(found.gradients.keys.sorted() == expected.keys.sorted())
    for (name, gradient) in expected.sorted(by: { $0.key < $1.key }) {
      let scale = gradient.map(abs).max() ?? 0
      let error = PlaneKernelTests.difference([found.gradients[name] ?? []], [gradient])
      #expect(found.gradients[name]?.count == gradient.count)
      #expect(error < 3e-5 * max(scale, 1), "\(name): \(error) of \(scale)")
    }
    #expect(found.inputs.map(\.count) == ofRows.map(\.count))
    #expect(PlaneKernelTests.difference(found.inputs, ofRows) < 1e-5)
  }

  /// What lies in the workspace before a step has no part in it, and neither does whether rows get a gradient.
  @Test(arguments: cases)
  func aStepDependsOnItsInputsAlone(_ test: Case) throws {
    let fixture = Fixture(test, seed: 31)
    let r = Self.numbers(Self.rowCount, fixture.module.outputs, seed: 8)
    let first = try fixture.step(r, nil)
    fixture.workspace.overwrite(with: .nan)
    let second = try fixture.step(r, nil, inputs: false)
    #expect(first.outputs == second.outputs)
    #expect(first.gradients == second.gradients)
  }

  @Test func namesCountPerLabel() {
    let spec = SequentialSpec(
      [
        Convolution(filters: 2), BatchNorm(), Residual([Convolution(filters: 2), ReLU()]), Dense(4), Dense(5),
        Dense(3, label: "out"),
      ],
      input: ImageShape(channels: 1, height: 4, width: 4))
    #expect(
      spec.tensors(prefix: "trunk").map(\.name) == [
        "trunk.conv1.weight", "trunk.conv1.bias", "trunk.bn1.weight", "trunk.bn1.bias",
        "trunk.block1.conv1.weight", "trunk.block1.conv1.bias", "trunk.fc1.weight", "trunk.fc1.bias",
        "trunk.fc2.weight", "trunk.fc2.bias", "trunk.out.weight", "trunk.out.bias",
        "trunk.bn1.running_mean", "trunk.bn1.running_var",
      ])
    // 2 FLOPs per multiply-add: 2·9·16, again over two channels, then the dense layers.
    #expect(spec.forwardFlops == 2 * 9 * 2 * 16 + 2 * 9 * 2 * 2 * 16 + 2 * (32 * 4 + 4 * 5 + 5 * 3))
  }
}
