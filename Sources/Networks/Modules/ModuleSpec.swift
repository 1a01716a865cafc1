public import Numerics

/// What a module is, without its tensors: known before there are data or ranks, so that models can be planned.
public protocol ModuleSpec: Sendable {
  /// The rows that it takes; rows that are no images are channels of one pixel.
  var input: ImageShape { get }
  /// Values of a row that it gives.
  var outputs: Int { get }
  /// Values of a row that can be tapped, see ``Module/tapped``.
  var tapped: Int { get }
  /// FLOPs of the forward pass per row, 2 per multiply-add of convolutions and dense layers.
  var forwardFlops: Int { get }
  /// FLOPs of the backward pass per row, without the gradient of the rows.
  var backwardFlops: Int { get }
  /// FLOPs of the gradient of the rows, per row.
  var inputGradientFlops: Int { get }

  /// The tensors, with PyTorch's shapes, in the order of a checkpoint.
  ///
  /// - Parameter prefix: what their names begin with, e.g. `experts.3`.
  func tensors(prefix: String) -> [TensorSpec]

  /// An estimate of the bytes that a pass over blocks of so many rows keeps and takes.
  ///
  /// - Parameters:
  ///   - rows: of a block.
  ///   - blocks: those that are worked on together, of at most so many rows each.
  ///   - products: what computes the dense layers.
  func workspaceBytes(rows: Int, blocks: Int, products: DenseProducts) -> Int

  /// Bytes of it that are scratch memory, taken for the time of a call.
  func scratchBytes(rows: Int, blocks: Int, products: DenseProducts) -> Int

  /// The module.
  ///
  /// - Parameters:
  ///   - prefix: what the names of its tensors begin with.
  ///   - isTapped: whether its taps will be asked for.
  ///   - context: where it works and with what.
  func makeModule(prefix: String, isTapped: Bool, _ context: ModuleContext) -> any Module
}

extension ModuleSpec {
  /// Values of a row that it takes.
  public var inputs: Int { input.pixels }

  /// Trained parameters.
  public var parameterCount: Int {
    tensors(prefix: "").filter(\.isTrained).reduce(0) { $0 + $1.count }
  }
}

extension ImageShape {
  /// Rows of so many features that are no image.
  public init(features: Int) { self.init(channels: features, height: 1, width: 1) }
}
