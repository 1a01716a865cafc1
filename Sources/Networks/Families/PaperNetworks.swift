public import Numerics

/// The networks of the paper: expert and gate both look at the images, and experts answer log-probabilities of the
/// classes.
public struct PaperNetworks: NetworkFamily {
  public let name: String
  public let summary: String
  private let expertLayers: Layers
  private let gateLayers: Layers

  private struct Layers: Sendable {
    let convolutions: [ConvolutionLayer]
    let hidden: [Int]

    /// One 3×3 convolution without padding.
    init(filters: Int, batchNorm: Bool = false, hidden: [Int]) {
      self.init(convolutions: [ConvolutionLayer(filters: filters, batchNorm: batchNorm)], hidden: hidden)
    }

    init(convolutions: [ConvolutionLayer], hidden: [Int]) {
      self.convolutions = convolutions
      self.hidden = hidden
    }

    /// The paper's CIFAR pattern: padded convolutions, every second one with BatchNorm and without bias.
    init(cifar filters: [Int], hidden: [Int]) {
      convolutions = filters.enumerated().map { index, filters in
        let norm = index % 2 == 1
        return ConvolutionLayer(filters: filters, padding: 1, batchNorm: norm, bias: !norm)
      }
      self.hidden = hidden
    }
  }

  /// In the order in which help texts list them.
  public static let all = [
    PaperNetworks(
      name: "mnist", summary: "the paper's MNIST networks: small expert, small gate",
      expertLayers: Layers(filters: 1, hidden: [5, 32]), gateLayers: Layers(filters: 1, hidden: [128, 32])),
    PaperNetworks(
      name: "fashion-mnist", summary: "the paper's FashionMNIST networks: the gate is 39 times an expert",
      expertLayers: Layers(filters: 1, hidden: [64, 32]),
      gateLayers: Layers(filters: 8, batchNorm: true, hidden: [512, 32])),
    PaperNetworks(
      name: "combined", summary: "the paper's networks for FashionMNIST and MNIST together, 12 classes",
      expertLayers: Layers(filters: 1, hidden: [5, 32]),
      gateLayers: Layers(convolutions: [ConvolutionLayer(filters: 1, kernel: 5)], hidden: [128, 32])),
    PaperNetworks(
      name: "cifar", summary: "the paper's CIFAR-100 networks: four convolutions, wide experts",
      expertLayers: Layers(cifar: [16, 32, 64, 128], hidden: [1024, 256]),
      gateLayers: Layers(cifar: [64, 128, 256, 512], hidden: [1024, 256])),
    PaperNetworks(
      name: "cifar-small", summary: "the paper's CIFAR-100 networks with small experts",
      expertLayers: Layers(cifar: [8, 16, 32, 64], hidden: [128, 64]),
      gateLayers: Layers(cifar: [64, 128, 256, 512], hidden: [512, 64])),
    PaperNetworks(
      name: "expert-heavy", summary: "small gate, wide experts: what expert parallelism itself gives",
      expertLayers: Layers(filters: 4, hidden: [2048, 1024]),
      gateLayers: Layers(filters: 1, hidden: [128, 32])),
  ]

  /// The paper's networks of a name; nil where there are none.
  public static func named(_ name: String) -> PaperNetworks? { all.first { $0.name == name } }

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
      input: input, convolutions: gateLayers.convolutions, hidden: gateLayers.hidden.dropLast(),
      outputs: gateLayers.hidden.last ?? 0, headless: true)
  }

  public func expert(rows: ImageShape, classes: Int) -> any ModuleSpec {
    LogProbabilitiesSpec(expert(input: rows, classes: classes))
  }

  public func gate(rows: ImageShape, experts: Int) -> any ModuleSpec { gate(input: rows, experts: experts) }
  public func gateTrunk(rows: ImageShape) -> any ModuleSpec { gateTrunk(input: rows) }

  public var hiddenWidths: (expert: Int, gate: Int) {
    (expertLayers.hidden.last ?? 0, gateLayers.hidden.last ?? 0)
  }

  public func misfit(_ input: ImageShape) -> String? {
    for layers in [expertLayers, gateLayers] {
      if let misfit = spec(layers, input: input, outputs: 1).misfit { return misfit }
    }
    return nil
  }

  private func spec(_ layers: Layers, input: ImageShape, outputs: Int) -> NetworkSpec {
    NetworkSpec(
      input: input, convolutions: layers.convolutions, hidden: layers.hidden, outputs: outputs)
  }
}
