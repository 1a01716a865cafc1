import DataSets
import Dist
import KernelInterface
import MoE
import Networks
import Numerics
import Testing
import Training

extension ReferenceDeepModel {
  /// The model of a configuration, of perceptrons.
  init(_ outline: ModelOutline, _ configuration: Configuration, tensors: Tensors) {
    func layers(_ spec: (any ModuleSpec)?, _ prefix: String) -> ReferenceLayers {
      guard let spec = spec as? SequentialSpec else { preconditionFailure("a perceptron is made of layers") }
      return ReferenceLayers(spec, prefix: prefix)
    }
    let mixtures = (0..<outline.layers).map { layer in
      let scope = ModelOutline.scope(layer: layer)
      return Mixture(
        gate: outline.hasGate ? layers(outline.gateRequest.network, "\(scope)gate") : nil,
        experts: (0..<outline.experts).map { layers(outline.expertSpec, "\(scope)experts.\($0)") },
        rule: configuration.combine == .topK
          ? .topK(configuration.topK, full: configuration.topKWeights == .full) : .expectation,
        temperature: configuration.temperature, importance: configuration.importance, isResidual: true)
    }
    self.init(
      trunk: layers(outline.trunkSpec, "trunk"), mixtures: mixtures, head: layers(outline.headSpec, "head"),
      tensors: tensors)
  }
}

/// Law 5 with trunk and head: gradients of every tensor of a deeper network, with those of experts, gates and losses in
/// them, against central differences of the formula; one, two, three and five ranks, either place of the gate.
struct DeepModelTests {
  struct Case: CustomStringConvertible, Sendable {
    let name: String
    let change: @Sendable (inout Configuration) -> Void
    var description: String { name }
  }

  static let cases = [
    Case(name: "expectation") { $0.temperature = 1.5 },
    Case(name: "top-2, renormalised, two layers, importance") {
      $0.layers = 2
      $0.combine = .topK
      $0.topK = 2
      $0.topKWeights = .renormalised
      $0.importance = 0.3
    },
    Case(name: "top-1, full, three layers") {
      $0.layers = 3
      $0.combine = .topK
      $0.topK = 1
      $0.importance = 0.1
    },
    Case(name: "one expert") { $0.gate = .none },
  ]

  static let rows = 37

  static func configuration(_ test: Case) -> Configuration {
    var configuration = Configuration()
    configuration.model = "mlp"
    configuration.experts = 3
    // Five blocks.
    configuration.blockRows = 8
    configuration.batchSize = rows
    test.change(&configuration)
    return configuration
  }

  static func data() -> DataSet {
    var values = KernelTests.Values(state: 41)
    let shape = ImageShape(channels: 1, height: 6, width: 5)
    let bytes = (0..<rows * shape.pixels).map { _ in UInt8(128 + 120 * Double(values.next())) }
    let labels = (0..<rows).map { UInt8($0 * 7 % 10) }
    let images = ImageSet(shape: shape, images: bytes, labels: labels)
    return DataSet(
      name: "noise", classes: 10, classNames: (0..<10).map(String.init), train: images, test: images,
      mean: [0.5], standardDeviation: [0.25], fingerprints: [:], location: "", notes: [])
  }

  struct Findings: Sendable, Equatable {
    var start: [String: [Float]] = [:]
    var gradients: [String: [Float]] = [:]
    var loss: Float = 0
  }

  static func run(_ test: Case, ranks: Int, place: GatePlacement) throws -> Findings {
    let all: [Findings] = try onRanks(ranks) { communicator in
      var configuration = configuration(test)
      configuration.gatePlacement = place
      let data = data()
      let session = try ModelSession(
        configuration, data: data, communicator: communicator, training: true,
        clock: PhaseClock(communicator) { _, _ in })
      session.parts.initialise(seed: 3)
      var findings = Findings()
      for parameters in session.parts.parameters {
        for place in parameters.places {
          findings.start[place.spec.name] = (0..<place.spec.count).map {
            parameters.values[place.offset + $0]
          }
        }
      }
      let order = (0..<Int32(rows)).map { $0 }
      let outcome = try session.trainingStep?.run(
        order[...], of: ImageView(data.train), epoch: 0,
        mode: .training(UpdatePoint(step: 1, learningRate: 0, weightDecay: 0)), word: 0)
      if let report = outcome?.report {
        findings.loss = (0..<rows).reduce(0) { $0 + report[RowReport.loss.rawValue][$1] } / Float(rows)
      }
      // A replicated module's gradients are complete on no rank, until they are gathered.
      for parameters in (session.parts.trunk?.parameters ?? []) + (session.parts.head?.parameters ?? []) {
        try session.parts.base.completeGradients(parameters)
      }
      for layer in session.parts.layers {
        for parameters in layer.gate?.parameters ?? [] { try layer.place.completeGradients(parameters) }
      }
      for parameters in session.parts.parameters {
        guard let training = parameters.training else { continue }
        for place in parameters.places
        where communicator.rank == 0 || place.spec.name.contains("experts.") {
          findings.gradients[place.spec.name] = (0..<place.spec.count).map {
            training.gradients[place.offset + $0]
          }
        }
      }
      return findings
    }
    var whole = all[0]
    for other in all.dropFirst() {
      whole.start.merge(other.start) { a, _ in a }
      whole.gradients.merge(other.gradients) { a, _ in a }
    }
    return whole
  }

  /// At steps of 1e-7 the error of the differences is of the order 1e-9, and of single precision 1e-5 of a tensor's
  /// largest gradient.
  @Test(arguments: cases)
  func gradientsAreDerivatives(_ test: Case) throws {
    let found = try Self.run(test, ranks: 1, place: .replicated)
    let data = Self.data()
    let configuration = Self.configuration(test)
    let model = ReferenceDeepModel(
      try ModelOutline(configuration, size: DataSetSize(data)), configuration,
      tensors: found.start.mapValues { $0.map(Double.init) })
    let images = (0..<Self.rows).map { row in
      (0..<30).map { (Double(data.train.images[row * 30 + $0]) / 255 - 0.5) / 0.25 }
    }
    let labels = data.train.labels.map(Int.init)
    let start = model.run(images, labels, chosen: nil)
    #expect(abs(Double(found.loss) - start.entropy) < 1e-5)
    let step = 1e-7
    for (name, gradient) in found.gradients.sorted(by: { $0.key < $1.key }) {
      let scale = Double(gradient.map(abs).max() ?? 0)
      // Where the gradient is largest, in the middle, and at the end.
      let largest = gradient.indices.max { abs(gradient[$0]) < abs(gradient[$1]) } ?? 0
      for i in Set([largest, gradient.count / 2, gradient.count - 1]) {
        var moved = model
        moved.tensors[name]![i] += step
        let above = moved.run(images, labels, chosen: start.chosen).loss
        moved.tensors[name]![i] -= 2 * step
        let below = moved.run(images, labels, chosen: start.chosen).loss
        let expected = (above - below) / (2 * step)
        #expect(
          abs(Double(gradient[i]) - expected) < 1e-4 * scale + 1e-8,
          "\(name)[\(i)]: \(gradient[i]), not \(expected)")
      }
    }
    #expect(found.gradients.count == model.tensors.count)
  }

  @Test(arguments: cases)
  func ranksAndPlacesChangeNothing(_ test: Case) throws {
    let one = try Self.run(test, ranks: 1, place: .replicated)
    for ranks in [2, 3, 5] {
      #expect(try Self.run(test, ranks: ranks, place: .replicated) == one, "N = \(ranks), replicated")
    }
    for ranks in [1, 3] {
      #expect(try Self.run(test, ranks: ranks, place: .root) == one, "N = \(ranks), root")
    }
  }
}
