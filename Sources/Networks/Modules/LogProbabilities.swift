internal import KernelInterface
public import Numerics

/// A module whose outputs are the ln of a softmax of another's: an expert of the paper answers log-probabilities of the
/// classes.
public struct LogProbabilitiesSpec: ModuleSpec {
  /// What gives the logits.
  public let logits: any ModuleSpec

  /// A module that takes ln softmax, in nats, of what another gives.
  public init(_ logits: any ModuleSpec) { self.logits = logits }

  public var input: ImageShape { logits.input }
  public var outputs: Int { logits.outputs }
  public var tapped: Int { logits.tapped }
  public var forwardFlops: Int { logits.forwardFlops }
  public var backwardFlops: Int { logits.backwardFlops }
  public var inputGradientFlops: Int { logits.inputGradientFlops }

  public func tensors(prefix: String) -> [TensorSpec] { logits.tensors(prefix: prefix) }

  public func workspaceBytes(rows: Int, blocks: Int, products: DenseProducts) -> Int {
    logits.workspaceBytes(rows: rows, blocks: blocks, products: products)
  }

  public func scratchBytes(rows: Int, blocks: Int, products: DenseProducts) -> Int {
    logits.scratchBytes(rows: rows, blocks: blocks, products: products)
  }

  public func makeModule(prefix: String, isTapped: Bool, _ context: ModuleContext) -> any Module {
    LogProbabilities(logits.makeModule(prefix: prefix, isTapped: isTapped, context), team: context.team)
  }
}

final class LogProbabilities: Module {
  private let logits: any Module
  private let team: ThreadTeam

  init(_ logits: any Module, team: ThreadTeam) {
    self.logits = logits
    self.team = team
  }

  private struct Pass: ModulePass {
    let logits: any ModulePass
    let outputs: [FeatureMap]
  }

  var parameters: [Parameters] { logits.parameters }
  var inputs: Int { logits.inputs }
  var outputs: Int { logits.outputs }
  var tapped: Int { logits.tapped }
  var work: ModuleWork {
    get { logits.work }
    set { logits.work = newValue }
  }

  func forward(
    _ blocks: [RowBlock], into outputs: [FeatureMap], taps: [FeatureMap]?, mode: NetworkMode,
    in pieces: [Workspace]
  ) throws -> any ModulePass {
    let values = zip(blocks, pieces).map { $1.map(features: logits.outputs, rows: $0.rows) }
    let pass = try logits.forward(blocks, into: values, taps: taps, mode: mode, in: pieces)
    team.run(blocks.count) { kernels.logSoftmax(values[$0], scale: 1, into: outputs[$0]) }
    return Pass(logits: pass, outputs: outputs)
  }

  func backward(
    _ pass: any ModulePass, gradients: [FeatureMap], taps: [FeatureMap]?, inputs: [FeatureMap]?
  ) throws {
    guard let pass = pass as? Pass else { preconditionFailure("a pass of this module") }
    team.run(gradients.count) {
      kernels.logSoftmaxGradient(gradients[$0], logProbabilities: pass.outputs[$0])
      gradients[$0].clearPadding()
    }
    try logits.backward(pass.logits, gradients: gradients, taps: taps, inputs: inputs)
  }
}
