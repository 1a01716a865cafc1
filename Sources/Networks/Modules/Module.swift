public import KernelInterface
public import Numerics

/// A network, or a part of one, with its tensors: rows in, rows out, and gradients back.
///
/// Experts, gates, trunks and heads are modules. Values lie feature-major, [features][rows], one map per block of rows; a
/// row's values depend on the rows beside it only where a module takes statistics of the whole batch, which it sums by
/// ``BlockSums``. So a module's results do not depend on how many ranks work on the blocks. Every number that a module
/// makes has to come from Numerics: libm's functions have other bits on other machines.
///
/// Most modules are a ``Sequential`` of layers. A class of one's own has to keep three rules: gradients of parameters are
/// sums over blocks along the tree (``BlockGradients``), the padding of a map behind its last row holds finite values that
/// nobody reads, and of gradients zeros.
public protocol Module: AnyObject {
  /// The tensors, for update and checkpoint.
  var parameters: [Parameters] { get }
  /// Values of a row that the module takes.
  var inputs: Int { get }
  /// Values of a row that it gives.
  var outputs: Int { get }
  /// Values of a row that can be tapped: those of the last hidden layer before its activation; 0 where there are none.
  var tapped: Int { get }
  /// FLOPs done so far, 2 per multiply-add of convolutions and dense layers.
  var work: ModuleWork { get set }

  /// Runs the module over all blocks of this place, in one call because statistics of a batch need them together.
  ///
  /// Collective exactly if the module takes statistics of a batch by sums that are.
  /// - Parameters:
  ///   - blocks: the rows of this place.
  ///   - outputs: per block, [outputs][rows], to be written.
  ///   - taps: per block, [tapped][rows]; nil: nobody wants them.
  ///   - mode: whether statistics are the batch's or running ones.
  ///   - pieces: per block, memory of its own, where what the backward pass needs is kept.
  /// - Returns: what the backward pass needs; valid until the workspaces are reset.
  /// - Throws: what sums over blocks of several ranks throw.
  func forward(
    _ blocks: [RowBlock], into outputs: [FeatureMap], taps: [FeatureMap]?, mode: NetworkMode,
    in pieces: [Workspace]
  ) throws -> any ModulePass

  /// Computes the gradients of all parameters over the whole batch, and those of the rows where they are wanted.
  ///
  /// - Parameters:
  ///   - pass: of a forward pass in training.
  ///   - gradients: per block, of the outputs, zero behind the last row; used up by the call.
  ///   - taps: per block, what the tapped values get beside what comes through the outputs.
  ///   - inputs: per block, [inputs][rows], to be written; nil: not wanted.
  func backward(
    _ pass: any ModulePass, gradients: [FeatureMap], taps: [FeatureMap]?, inputs: [FeatureMap]?
  ) throws

  /// The gradients of a module that had no row: zero.
  func clearGradients()
}

extension Module {
  public func clearGradients() {
    for parameters in parameters {
      parameters.training?.gradients.update(repeating: 0, count: parameters.trainedCount)
    }
  }
}

extension Module {
  /// Runs the module over rows that are no images, without taps.
  ///
  /// - Parameters:
  ///   - x: per block, [inputs][rows].
  ///   - y: per block, [outputs][rows], to be written.
  ///   - mode: whether statistics are the batch's or running ones.
  ///   - pieces: per block, memory of its own, where what the backward pass needs is kept.
  public func forward(
    _ x: [FeatureMap], into y: [FeatureMap], mode: NetworkMode = .training, in pieces: [Workspace]
  ) throws -> any ModulePass {
    try forward(x.map { .features($0) }, into: y, taps: nil, mode: mode, in: pieces)
  }

  /// Computes the gradients of the parameters, and of the rows where they are wanted, without taps.
  ///
  /// - Parameters:
  ///   - pass: of a forward pass in training.
  ///   - dy: per block, of the outputs, zero behind the last row; used up by the call.
  ///   - dx: per block, [inputs][rows], to be written; nil: not wanted.
  public func backward(_ pass: any ModulePass, dy: [FeatureMap], into dx: [FeatureMap]?) throws {
    try backward(pass, gradients: dy, taps: nil, inputs: dx)
  }
}

/// What a module keeps of a forward pass.
public protocol ModulePass {}

/// Whether statistics of a batch are the batch's own, which also move the running ones, or the running ones.
public enum NetworkMode: Sendable {
  /// Statistics are the batch's, and what the backward pass needs is kept.
  case training
  /// Statistics are the running ones.
  case evaluation
}

/// What a module has computed, counted where its kernels are called.
public struct ModuleWork: Equatable, Sendable {
  /// Rows that went forward.
  public var rows = 0
  /// FLOPs of forward passes.
  public var forwardFlops = 0
  /// FLOPs of backward passes, those of the rows' gradients among them.
  public var backwardFlops = 0

  /// Nothing yet.
  public init() {}
}

/// What a module is made for: where it works and with what.
public struct ModuleContext {
  /// Whether it is trained: only then it has gradients and the state of an optimiser.
  public var isTrained: Bool
  /// How sums over the blocks of this place become those of the whole batch.
  public var sums: any BlockSums
  /// Works on the blocks.
  public var team: ThreadTeam
  /// What computes products of matrices.
  public var products: DenseProducts

  /// A context of one place: all blocks here, worked on by the caller's thread, unless told otherwise.
  public init(
    isTrained: Bool = true, sums: any BlockSums = WholeBatch(), team: ThreadTeam = .alone(),
    products: DenseProducts = .standard
  ) {
    self.isTrained = isTrained
    self.sums = sums
    self.team = team
    self.products = products
  }
}
