/// The expert and the gate that belong together, by name. Adding a family is one entry of ``all``.
public struct NetworkFamily: Sendable {
  public let name: String
  public let summary: String
  private let expertLayers: Layers
  private let gateLayers: Layers

  private struct Layers: Sendable {
    let filters: Int
    var batchNorm = false
    let hidden: [Int]
  }

  /// Every family, in the order in which help texts list them.
  public static let all = [
    NetworkFamily(
      name: "mnist", summary: "the paper's MNIST networks: small expert, small gate",
      expertLayers: Layers(filters: 1, hidden: [5, 32]), gateLayers: Layers(filters: 1, hidden: [128, 32])),
    NetworkFamily(
      name: "fashion-mnist", summary: "the paper's FashionMNIST networks: the gate is 39 times an expert",
      expertLayers: Layers(filters: 1, hidden: [64, 32]),
      gateLayers: Layers(filters: 8, batchNorm: true, hidden: [512, 32])),
    NetworkFamily(
      name: "expert-heavy", summary: "small gate, wide experts: what expert parallelism itself gives",
      expertLayers: Layers(filters: 4, hidden: [2048, 1024]),
      gateLayers: Layers(filters: 1, hidden: [128, 32])),
  ]

  public static func named(_ name: String) -> NetworkFamily? { all.first { $0.name == name } }

  /// The network of one expert, or the single model.
  public func expert(input: ImageShape, classes: Int) -> NetworkSpec {
    spec(expertLayers, input: input, outputs: classes)
  }

  /// The gate of a mixture.
  public func gate(input: ImageShape, experts: Int) -> NetworkSpec {
    spec(gateLayers, input: input, outputs: experts)
  }

  /// The gate of a mixture without its output layer; its output is the last hidden layer, before ReLU.
  public func gateTrunk(input: ImageShape) -> NetworkSpec {
    NetworkSpec(
      input: input, filters: gateLayers.filters, batchNorm: gateLayers.batchNorm,
      hidden: gateLayers.hidden.dropLast(), outputs: gateLayers.hidden.last ?? 0, headless: true)
  }

  /// Widths of the last hidden layers of expert and gate, H; an attentive gate needs them to be equal.
  public var hiddenWidths: (expert: Int, gate: Int) {
    (expertLayers.hidden.last ?? 0, gateLayers.hidden.last ?? 0)
  }

  private func spec(_ layers: Layers, input: ImageShape, outputs: Int) -> NetworkSpec {
    NetworkSpec(
      input: input, filters: layers.filters, batchNorm: layers.batchNorm, hidden: layers.hidden,
      outputs: outputs)
  }
}
