import Dist
import Glibc
import MoE
import Networks
import Numerics
import TestSupport
import Testing

/// Mixture layers that have nothing in common, one behind the other: law 5 down to the trunk's first tensor, with the
/// gradients of experts, gates and losses in it at once; and law 1 over threads, which is part of MPITests over MPI.
struct StackedLayersTests {
  static let step = 1

  /// The noise of a layer by its definition (``ScoreNoise``), [row][E]: factor/E times the x with Φ(x) = (word + ½)/2³², found
  /// by bisection, of the words that sample, epoch, layer and expert count.
  ///
  /// - Parameter key: the layer's name.
  static func noise(_ shape: StackedLayers.Shape, key: String) -> [[Double]] {
    let stream = RandomStream(seed: StackedLayers.seed, purpose: .routing)
    let hash = key.utf8.reduce(UInt64(0xCBF2_9CE4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    func quantile(_ p: Double) -> Double {
      var (low, high) = (-8.0, 8.0)
      while high - low > 1e-13 {
        let middle = (low + high) / 2
        if erfc(-middle / 2.0.squareRoot()) / 2 < p { low = middle } else { high = middle }
      }
      return low
    }
    return StackedLayers.samples(ofStep: step).map { sample in
      (0..<shape.experts).map { e in
        let words = stream.words(UInt64(step) << 32 + UInt64(sample), hash << 32 + UInt64(e / 4))
        return shape.noise / Double(shape.experts) * quantile((Double(words[e % 4]) + 0.5) * 0x1p-32)
      }
    }
  }

  static func model(_ tensors: [String: [Float]]) -> ReferenceDeepModel {
    ReferenceDeepModel(
      trunk: ReferenceLayers(StackedLayers.trunk, prefix: "trunk"),
      mixtures: StackedLayers.shapes.map { shape in
        ReferenceDeepModel.Mixture(
          gate: ReferenceLayers(shape.gate, prefix: "\(shape.name).gate"),
          experts: (0..<shape.experts).map {
            ReferenceLayers(shape.expert, prefix: "\(shape.name).experts.\($0)")
          },
          rule: .topK(shape.k, full: shape.weights == .full), temperature: shape.temperature,
          importance: shape.importance, zLoss: shape.zLoss, loadBalance: shape.loadBalance,
          noise: noise(shape, key: shape.name), isResidual: false)
      },
      head: ReferenceLayers(StackedLayers.head, prefix: "head"),
      tensors: tensors.mapValues { $0.map(Double.init) })
  }

  /// The batch as the reference takes it.
  static let batch = StackedLayers.samples(ofStep: step).map { StackedLayers.sample($0) }
  static let images = batch.map { $0.x.map(Double.init) }
  static let labels = batch.map(\.label)

  /// Central differences of the loss by a tensor, with the choices as they are; exact to 1e-9, for everything is smooth.
  static func slopes(_ model: ReferenceDeepModel, _ name: String, chosen: [[[Int]]]) -> [Double] {
    model.tensors[name]!.indices.map { i in
      let values = [1e-5, -1e-5].map { step in
        var moved = model
        moved.tensors[name]![i] += step
        return moved.run(images, labels, chosen: chosen).loss
      }
      return (values[0] - values[1]) / 2e-5
    }
  }

  @Test func lossesAndChoicesAreTheFormulas() throws {
    #expect(StackedLayers.rows > 4 * StackedLayers.blockRows)
    #expect(StackedLayers.rows % StackedLayers.blockRows != 0)
    let stacked = StackedLayers(over: LocalCommunicator())
    let start = stacked.tensors
    let found = try stacked.run(step: Self.step)
    let expected = Self.model(start).run(Self.images, Self.labels, chosen: nil)
    #expect(abs(found.entropy - expected.entropy) < 1e-6)
    for (layer, shape) in StackedLayers.shapes.enumerated() {
      let table = try #require(found.tables[layer])
      let chosen = (0..<table.rows).map { row in (0..<table.slots).map { table[row, $0] } }
      #expect(chosen == expected.chosen[layer], "\(shape.name)")
      #expect(Set(chosen.joined()) == Set(0..<shape.experts), "every expert of \(shape.name) has a row")
      let values = [
        "importance_loss": (shape.importance, expected.importance[layer]),
        "z_loss": (shape.zLoss, expected.zLoss[layer]),
        "load_balance_loss": (shape.loadBalance, expected.loadBalance[layer]),
      ].filter { $0.value.0 != 0 }
      #expect(found.losses[layer].count == values.count)
      for loss in found.losses[layer] {
        let (weight, value) = try #require(values[loss.name])
        #expect(abs(loss.reported - value) < 1e-5 * value, "\(loss.name) of \(shape.name)")
        #expect(abs(loss.weighted - weight * value) < 1e-5 * value, "\(loss.name) of \(shape.name)")
      }
    }
  }

  /// Every entry of every tensor, 1e-5 of the tensor's norm.
  @Test func gradientsAreDerivatives() throws {
    let stacked = StackedLayers(over: LocalCommunicator())
    let model = Self.model(stacked.tensors)
    _ = try stacked.run(step: Self.step)
    let chosen = model.run(Self.images, Self.labels, chosen: nil).chosen
    let gradients = stacked.gradients
    #expect(gradients.keys.sorted() == model.tensors.keys.sorted())
    #expect(gradients["trunk.fc1.weight"] != nil)
    for (name, gradient) in gradients.sorted(by: { $0.key < $1.key }) {
      let expected = Self.slopes(model, name, chosen: chosen)
      let found = gradient.map(Double.init)
      #expect(dot(expected, expected) > 1e-10, "\(name) has a gradient")
      let difference = relativeDifference(found, expected)
      #expect(difference < 1e-5, "\(name): \(difference)")
    }
  }

  /// The comparison above would see each of these, a hundred times over: without it the trunk's first tensor has another
  /// gradient.
  @Test func everyPartShowsInTheFirstTensor() {
    let stacked = StackedLayers(over: LocalCommunicator())
    let model = Self.model(stacked.tensors)
    let chosen = model.run(Self.images, Self.labels, chosen: nil).chosen
    let whole = Self.slopes(model, "trunk.fc1.weight", chosen: chosen)
    let changes: [(String, (inout ReferenceDeepModel) -> Void)] = [
      ("importance of the first layer", { $0.mixtures[0].importance = 0 }),
      ("z-loss of the first layer", { $0.mixtures[0].zLoss = 0 }),
      ("z-loss of the second layer", { $0.mixtures[1].zLoss = 0 }),
      ("load balance of the second layer", { $0.mixtures[1].loadBalance = 0 }),
      ("temperature of the first layer", { $0.mixtures[0].temperature = 1.5 }),
      ("temperature of the second layer", { $0.mixtures[1].temperature = 0.75 }),
      ("noise of the first layer", { $0.mixtures[0].noise = nil }),
      ("noise of the second layer", { $0.mixtures[1].noise = nil }),
      (
        "the first layer's key for the second",
        { $0.mixtures[1].noise = Self.noise(StackedLayers.shapes[1], key: StackedLayers.shapes[0].name) }
      ),
    ]
    for (name, change) in changes {
      var other = model
      change(&other)
      let slopes = Self.slopes(other, "trunk.fc1.weight", chosen: chosen)
      #expect(relativeDifference(slopes, whole) > 1e-3, "\(name)")
    }
  }

  @Test(arguments: [1, 2, 3, 5, 7])
  func theNumberOfRanksChangesNoBit(ranks: Int) throws {
    let problems = try LocalGroup.run(ranks: ranks) { try StackedLayersLaws.problems($0) }.flatMap { $0 }
    #expect(problems == [])
  }
}
