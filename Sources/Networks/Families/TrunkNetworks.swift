public import Numerics

/// A convolutional trunk that all experts share, and a mixture of wide dense experts in front of the head: an expert less
/// per row saves most of the step's FLOPs.
public struct TrunkNetworks: DenseMixtureFamily {
  public let name = "cifar-trunk"
  public let summary = "a shared convolutional trunk, a mixture of wide dense experts, a head"
  public let features = 256
  public let width = 2048

  /// The family that is called `cifar-trunk`.
  public init() {}

  private func convolutions(_ images: ImageShape) -> NetworkSpec {
    // The paper's pattern for CIFAR: every second convolution with BatchNorm and without bias.
    NetworkSpec(
      input: images,
      convolutions: [16, 32, 64, 128].enumerated().map { index, filters in
        ConvolutionLayer(filters: filters, padding: 1, batchNorm: index % 2 == 1, bias: index % 2 == 0)
      }, hidden: [], outputs: features, headless: true)
  }

  public func trunk(_ images: ImageShape) -> (any ModuleSpec)? {
    ChainSpec([
      ("", convolutions(images)),
      ("", SequentialSpec([ReLU()], input: ImageShape(features: features))),
    ])
  }

  public func misfit(_ images: ImageShape) -> String? { convolutions(images).misfit }
}
