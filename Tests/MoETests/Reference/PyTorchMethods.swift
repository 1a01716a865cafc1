import Foundation
import Testing

/// What `Tests/Reference/make_methods.py` wrote: training steps by PyTorch in float64, of every gate, loss and network.
struct PyTorchMethods: Decodable {
  static let names = ["attention", "methods", "stages"]

  var side: Int
  var channels: Int
  var experts: Int
  var classes: Int
  var expert: Layout
  var gate: Layout
  var learningRate: Double
  /// Normalised pixels by row.
  var images: [[Double]]
  var labels: [Int]
  /// The values at the start, of every tensor of any case, and of the teacher's.
  var parameters: Tensors
  var teacher: Tensors
  var cases: [Case]

  struct Layout: Decodable {
    var filters: [Int]
    var hidden: [Int]
    var batchNorm: [Int]
    var padding: Int
  }

  struct Options: Decodable {
    var gate: String
    var rule: String?
    var k: Int?
    var weights: String?
    var temperature: Double?
    var expertTemperature: Double?
    var importance: Double?
    var similarity: Double?
    var dissimilarity: Double?
    var scaling: String?
    var distance: String?
    var scale: String
    var freeze: String?
    var expertOfClass: [Int]?
    var teacher: Bool
  }

  struct Case: Decodable {
    var options: Options
    /// By row, before the first step.
    var losses: [Double]
    var probabilities: [[Double]]
    /// Before every step.
    var gateLosses: [Double]
    var expertLosses: [Double]
    /// Of the first step, of everything that is trained.
    var gradients: Tensors
    /// After the last step, running statistics and frozen tensors included.
    var final: Tensors
  }

  static func load(_ name: String) throws -> PyTorchMethods {
    let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Fixtures/pytorch-\(name).json")
    return try JSONDecoder().decode(PyTorchMethods.self, from: Data(contentsOf: file))
  }

  func model(_ test: Case) -> ReferenceModel {
    var gateNetwork: ReferenceNetwork?
    if ["softmax", "attentive", "loss"].contains(test.options.gate) {
      gateNetwork = network(gate, outputs: experts)
      gateNetwork?.headless = test.options.gate == "attentive"
    }
    var model = ReferenceModel(
      parameters: parameters.filter { test.final.keys.contains($0.key) }, gate: gateNetwork,
      expert: network(expert, outputs: classes), count: experts)
    if test.options.teacher { model.teacher = teacher }
    return model
  }

  private func network(_ layout: Layout, outputs: Int) -> ReferenceNetwork {
    ReferenceNetwork(
      name: "", side: side, channels: channels, filters: layout.filters, padding: layout.padding,
      batchNorm: layout.batchNorm, hidden: layout.hidden, outputs: outputs)
  }
}

extension PyTorchMethods.Options {
  /// The method that the options describe; nil for a word that nobody knows.
  var method: ReferenceMethod? {
    var method = ReferenceMethod()
    switch gate {
    case "softmax": method.gate = .softmax
    case "attentive": method.gate = .attentive
    case "peeking": method.gate = .peeking
    case "loudest": method.gate = .loudest
    case "loss": method.gate = .loss
    case "classes": method.gate = .classes(expertOfClass ?? [])
    default: return nil
    }
    switch rule {
    case nil, "expectation": method.rule = .expectation
    case "stochastic": method.rule = .stochastic
    case "top-k": method.rule = .topK(k ?? 0, full: weights == "full")
    default: return nil
    }
    method.temperature = temperature ?? 1
    method.expertTemperature = expertTemperature
    method.importance = importance ?? 0
    if similarity != nil || dissimilarity != nil {
      method.similarity = ReferenceSimilarity(
        similarity: similarity ?? 0, dissimilarity: dissimilarity ?? 0, authors: scaling == "authors",
        squared: distance == "squared-euclidean",
        scale: Double(scale).map { .number($0) } ?? .batchMaximum)
    }
    guard let freeze = ReferenceFreeze(rawValue: freeze ?? "none") else { return nil }
    method.freeze = freeze
    method.hasTeacher = teacher
    return method
  }
}

/// The reference against PyTorch in float64, case by case.
struct ReferenceAgainstPyTorchMethodsTests {
  struct Place: CustomTestStringConvertible {
    var file: String
    var number: Int
    var testDescription: String { "\(file) \(number)" }
  }

  static let files = Dictionary(
    uniqueKeysWithValues: PyTorchMethods.names.compactMap { name in
      (try? PyTorchMethods.load(name)).map { (name, $0) }
    })
  static let places = PyTorchMethods.names.flatMap { name in
    (files[name]?.cases ?? []).indices.map { Place(file: name, number: $0) }
  }

  @Test(arguments: PyTorchMethods.names)
  func theFilesAreThere(_ name: String) throws { #expect(try !PyTorchMethods.load(name).cases.isEmpty) }

  @Test func everyGateAndEveryOptionIsThere() {
    let options = Self.files.values.flatMap { $0.cases.map(\.options) }
    for gate in ["softmax", "attentive", "peeking", "loudest", "loss", "classes"] {
      #expect(options.contains { $0.gate == gate })
    }
    let present: [(PyTorchMethods.Options) -> Bool] = [
      { $0.expertTemperature != nil && $0.importance != nil }, { $0.scaling == "authors" },
      { $0.distance == "squared-euclidean" }, { $0.scale == "batch-max" }, { $0.freeze == "gate" },
      { $0.freeze == "experts" && !$0.teacher }, { $0.teacher },
    ]
    for (number, holds) in present.enumerated() { #expect(options.contains(where: holds), "\(number)") }
  }

  @Test(arguments: places)
  func stepsAgree(_ place: Place) throws {
    let file = try #require(Self.files[place.file])
    let test = file.cases[place.number]
    let method = try #require(test.options.method)
    var model = file.model(test)
    #expect(model.shapes.keys.sorted() == test.final.keys.sorted())
    #expect(model.trained(method) == test.gradients.keys.sorted())
    for number in test.gateLosses.indices {
      let step = model.step(file.images, file.labels, method)
      #expect(abs(step.gateLoss - test.gateLosses[number]) < 1e-11)
      #expect(abs(step.expertLoss - test.expertLosses[number]) < 1e-11)
      if number == 0 {
        #expect(relativeDifference(step.losses, test.losses) < 1e-11)
        for (found, expected) in zip(step.probabilities, test.probabilities) {
          #expect(relativeDifference(found, expected) < 1e-11)
        }
        #expect(step.gradients.keys.sorted() == test.gradients.keys.sorted())
        for (name, expected) in test.gradients.sorted(by: { $0.key < $1.key }) {
          #expect(relativeDifference(step.gradients[name] ?? [], expected) < 1e-10, "\(name)")
        }
      }
      model.update(step, learningRate: file.learningRate)
    }
    for (name, expected) in test.final.sorted(by: { $0.key < $1.key }) {
      #expect(relativeDifference(model.parameters[name] ?? [], expected) < 1e-10, "\(name)")
    }
  }
}
