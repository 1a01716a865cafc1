package import KernelInterface
package import Numerics

extension NetworkSpec: ModuleSpec {
  public var tapped: Int { hidden.last ?? 0 }
  public var inputGradientFlops: Int { 0 }

  public func makeModule(prefix: String, isTapped: Bool, _ context: ModuleContext) -> any Module {
    NetworkModule(
      Network(
        self, prefix: prefix, training: context.isTrained, tapsHidden: isTapped, sums: context.sums,
        team: context.team, products: context.products))
  }
}

/// A network of the paper as a module. It takes images, which have no gradient.
package final class NetworkModule: Module {
  package let network: Network

  package init(_ network: Network) { self.network = network }

  private struct Pass: ModulePass {
    let blocks: [Network.Pass]
  }

  package var parameters: [Parameters] { [network.parameters] }
  package var inputs: Int { network.spec.inputs }
  package var outputs: Int { network.spec.outputs }
  package var tapped: Int { network.spec.tapped }
  package var work: ModuleWork {
    get { network.work }
    set { network.work = newValue }
  }

  package func forward(
    _ blocks: [RowBlock], into outputs: [FeatureMap], taps: [FeatureMap]?, mode: NetworkMode,
    in pieces: [Workspace]
  ) throws -> any ModulePass {
    let images = blocks.compactMap(\.tiles)
    precondition(images.count == blocks.count, "a network that begins with a convolution takes images")
    return Pass(
      blocks: try network.forward(images, into: outputs, taps: taps, mode: mode, in: pieces))
  }

  package func backward(
    _ pass: any ModulePass, gradients: [FeatureMap], taps: [FeatureMap]?, inputs: [FeatureMap]?
  ) throws {
    guard let pass = pass as? Pass else { preconditionFailure("a pass of this module") }
    precondition(inputs == nil, "images have no gradient")
    try network.backward(pass.blocks, gradients: gradients, hidden: taps)
  }
}
