public import KernelInterface
public import Numerics

/// One layer of a ``Sequential``: what it holds, and its arithmetic.
///
/// Layers are descriptions without state: their tensors lie in the module's ``Parameters``, and what a backward pass needs
/// in a ``LayerTrace``. Only arithmetic of a row by itself is free; a sum over rows goes through ``LayerGradients`` or
/// ``BlockSums``, so that it does not depend on who works on which block.
public protocol Layer: Sendable {
  /// The layers that it is made of, one behind the other; none of most.
  var inner: [any Layer] { get }
  /// What its tensors are called: `fc` makes `fc1`, `fc2`, … in the order of the layers; nil without tensors.
  var label: String? { get }
  /// The shape of a row that it makes of a row.
  func output(_ input: ImageShape) -> ImageShape
  /// Its tensors, trained ones first.
  ///
  /// - Parameters:
  ///   - name: the full name of the layer, e.g. `experts.3.fc1`.
  ///   - input: the shape of a row that comes in.
  func tensors(name: String, input: ImageShape) -> [TensorSpec]
  /// FLOPs of the forward pass per row.
  func flops(_ input: ImageShape) -> Int

  /// Computes y of x, over all blocks of this place.
  ///
  /// - Parameters:
  ///   - x: per block, [features][rows].
  ///   - y: per block, to be written.
  ///   - place: tensors, memory and threads.
  /// - Returns: what the backward pass needs beside x and y.
  func forward(_ x: [FeatureMap], into y: [FeatureMap], _ place: LayerPlace) throws -> LayerTrace

  /// Computes the gradients of x and of the tensors.
  ///
  /// - Parameters:
  ///   - trace: of the forward pass.
  ///   - dy: per block, zero behind the last row; may be used up.
  ///   - dx: per block, to be written, zero behind the last row; nil: not wanted.
  ///   - place: that of the forward pass.
  ///   - gradients: takes the gradients of the tensors.
  func backward(
    _ trace: LayerTrace, dy: [FeatureMap], into dx: [FeatureMap]?, _ place: LayerPlace,
    _ gradients: LayerGradients
  ) throws
}

extension Layer {
  public var inner: [any Layer] { [] }
  public var label: String? { nil }
  public func output(_ input: ImageShape) -> ImageShape { input }
  public func tensors(name: String, input: ImageShape) -> [TensorSpec] { [] }
  public func flops(_ input: ImageShape) -> Int { 0 }
}

/// What a layer keeps of a forward pass.
public struct LayerTrace {
  /// Per block, what came in.
  public let x: [FeatureMap]
  /// Per block, what went out.
  public let y: [FeatureMap]
  /// Further maps, per block or as the layer likes.
  public var maps: [FeatureMap] = []
  /// Which of several values was taken, per block.
  public var choices: [UnsafeMutablePointer<UInt8>] = []
  /// Numbers of the whole batch.
  public var numbers: [Double] = []
  /// Of the layers within this one.
  public var inner: [LayerTrace] = []

  /// A trace of x and y alone; the layer adds what else it needs.
  public init(x: [FeatureMap], y: [FeatureMap]) {
    self.x = x
    self.y = y
  }
}

/// Where a layer works: its place in a module, its tensors, and the memory of the blocks.
public struct LayerPlace {
  /// The full name of the layer, that its tensors' names begin with.
  public let name: String
  /// The shape of a row that comes in.
  public let input: ImageShape
  /// Whether statistics are the batch's or running ones.
  public let mode: NetworkMode
  /// Threads, products and sums over blocks.
  public let context: ModuleContext
  /// Per block, memory that lasts until the backward pass is done.
  public let pieces: [Workspace]
  let parameters: Parameters
  /// Names of the layers within this one.
  let inner: [LayerPlacement]

  /// Where a tensor's values lie.
  ///
  /// - Parameter tensor: the name behind the layer's, e.g. `weight`.
  public func values(_ tensor: String) -> Floats { parameters.values + offset(tensor) }

  func offset(_ tensor: String) -> Int { parameters.offset(of: "\(name).\(tensor)") }

  /// The same for a layer within this one.
  func within(_ placement: LayerPlacement) -> LayerPlace {
    LayerPlace(
      name: placement.name, input: placement.input, mode: mode, context: context, pieces: pieces,
      parameters: parameters, inner: placement.inner)
  }
}

/// A layer with its name and the shape of its rows.
struct LayerPlacement {
  let layer: any Layer
  let name: String
  let input: ImageShape
  let inner: [LayerPlacement]
}

/// Takes the gradients of a module's tensors while its layers work backward.
public final class LayerGradients {
  private let parameters: Parameters
  private let nodes: [NodeSum]
  /// Gradients that are sums over the whole batch already.
  private var whole: [(offset: Int, values: [Float])] = []

  init(_ parameters: Parameters, nodes: [NodeSum]) {
    self.parameters = parameters
    self.nodes = nodes
  }

  /// Adds gradients of one tensor that were written block by block.
  ///
  /// - Parameters:
  ///   - perBlock: of `count` floats each, padded to whole vectors; used up.
  ///   - count: floats of the tensor.
  ///   - tensor: the full name.
  public func add(_ perBlock: [Floats], count: Int, to tensor: String) {
    let offset = parameters.offset(of: tensor)
    for node in nodes {
      node.add(perBlock, count: FeatureMap.columns(rows: count))
      (node.sum + offset).update(from: perBlock[node.node.here.lowerBound], count: count)
    }
  }

  /// The gradient Σ dH·Xᵀ of a matrix of [outputs][inputs], summed over the rows of all blocks.
  ///
  /// - Parameters:
  ///   - blocks: per block dH, [outputs][rows], and X, [inputs][rows].
  ///   - tensor: the full name.
  ///   - place: of the layer.
  public func addProduct(
    _ blocks: [(gradient: FeatureMap, input: FeatureMap)], to tensor: String, _ place: LayerPlace
  ) {
    let offset = parameters.offset(of: tensor)
    let shares = min(place.context.team.threads, blocks.count)
    place.context.team.run(shares) { share in
      for node in nodes {
        place.context.products.weightGradient(
          node.node.here.map { .init(gradient: blocks[$0].gradient, input: blocks[$0].input) },
          additions: node.node.additions, share: (share, of: shares), into: node.sum + offset,
          in: place.pieces[share])
      }
    }
  }

  /// A tensor's gradient that is a sum over the whole batch already, the same on every rank.
  public func set(_ values: [Float], of tensor: String) {
    whole.append((parameters.offset(of: tensor), values))
  }

  /// Writes what ``set(_:of:)`` was told.
  func finish(into gradients: Floats) {
    for (offset, values) in whole {
      for (index, value) in values.enumerated() { gradients[offset + index] = value }
    }
  }
}
