import Foundation
import Testing

/// What `Tests/Reference/make_reference.py` wrote: training steps by PyTorch in float64.
struct PyTorchReference: Decodable {
  var side: Int
  var experts: Int
  var classes: Int
  var learningRate: Double
  var steps: Int
  var expertFilters: Int
  var expertHidden: [Int]
  var gateFilters: Int
  var gateHidden: [Int]
  /// Normalised pixels by row.
  var images: [[Double]]
  var labels: [Int]
  /// The values at the start, of every tensor of any case.
  var parameters: Tensors
  var cases: [Case]

  struct Case: Decodable, CustomTestStringConvertible {
    var name: String
    /// nil, `plain` or `batch-norm`.
    var gate: String?
    var rule: String
    var k: Int?
    var weights: String?
    var temperature: Double
    var weightDecay: Double
    var expertBatchNorm: Bool
    /// Where this case starts from something else.
    var changed: Changed?
    /// By row, before the first step.
    var losses: [Double]
    /// The mean before every step.
    var stepLosses: [Double]
    /// Of the first step.
    var gradients: Tensors
    /// After the last step, running statistics included.
    var final: Tensors

    var testDescription: String { name }
  }

  struct Changed: Decodable {
    var images: [[Double]]
    var parameters: Tensors
  }

  static func load() throws -> PyTorchReference {
    let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Fixtures/pytorch-reference.json")
    return try JSONDecoder().decode(PyTorchReference.self, from: Data(contentsOf: file))
  }

  func images(_ test: Case) -> [[Double]] { test.changed?.images ?? images }

  func model(_ test: Case) -> ReferenceModel {
    let expert = ReferenceNetwork(
      name: "", side: side, filters: expertFilters, batchNorm: test.expertBatchNorm, hidden: expertHidden,
      outputs: classes)
    let gate = test.gate.map {
      ReferenceNetwork(
        name: "", side: side, filters: gateFilters, batchNorm: $0 == "batch-norm", hidden: gateHidden,
        outputs: experts)
    }
    let own = parameters.filter { test.final.keys.contains($0.key) }
      .merging(test.changed?.parameters ?? [:]) { _, changed in changed }
    return ReferenceModel(parameters: own, gate: gate, expert: expert, count: gate == nil ? 1 : experts)
  }

  func rule(_ test: Case) -> ReferenceRule? {
    switch test.rule {
    case "single": .single
    case "expectation": .expectation
    case "stochastic": .stochastic
    case "top-k": .topK(test.k ?? 0, full: test.weights == "full")
    default: nil
    }
  }
}
