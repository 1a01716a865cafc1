package import Dist
package import KernelInterface
package import Networks
package import Numerics

/// Where a layer's gate works: on rank 0 for all rows, or on every rank for its own shard with a copy of the gate. The
/// results are the same bits.
///
/// All ranks call the methods for the same batches in the same order.
package protocol GatePlace: AnyObject {
  /// Whether the gate, or a copy of it, is on this rank.
  var isHere: Bool { get }
  /// Whether every rank has a copy, and each message is made on the shard of its row.
  var isReplicated: Bool { get }
  /// How the gate's sums over blocks become those of the whole batch.
  var sums: any BlockSums { get }

  /// The blocks that the gate works on here.
  func blocks(of batch: BatchBlocks) -> Range<Int>

  /// Begins a batch.
  ///
  /// - Parameter message: the shard's.
  /// - Returns: where the gate writes the messages of its blocks.
  func begin(_ batch: BatchBlocks, message: FeatureMap, in workspace: Workspace) -> FeatureMap?

  /// Brings the messages that were written to their shards, and rank 0's word to all. Collective.
  ///
  /// - Returns: rank 0's word.
  func deliver(
    _ written: FeatureMap?, into message: FeatureMap, _ batch: BatchBlocks, word: Float,
    in workspace: Workspace
  ) throws -> Float

  /// Memory for what a shard hands in: the gradient of its message, and what rides along to rank 0.
  func parcel(gradient: Int, riders: Int, rows: Int, in workspace: Workspace) -> LayerParcel

  /// Brings gradients to the gate and riders to rank 0. Collective.
  func collect(_ parcel: LayerParcel, _ batch: BatchBlocks, word: Float, in workspace: Workspace) throws
    -> CollectedParcels

  /// Σ g² of a part of the gate, of the gradients of the last backward pass. Collective.
  func squareSum(_ parameters: Parameters) throws -> Double
  /// Updates a part of the gate, whose gradients are those of the last backward pass. Collective.
  func update(_ parameters: Parameters, _ point: UpdatePoint) throws
  /// Makes what belongs to a part of the gate complete on rank 0, before it is saved. Collective.
  func complete(_ parameters: Parameters) throws
  /// Makes gradients complete on rank 0, to look at them. Collective.
  func completeGradients(_ parameters: Parameters) throws
}

extension Gate {
  /// What is trained of its tensors.
  package var trained: [Parameters] { parameters.filter { $0.training != nil } }
}

extension GatePlace {
  /// Updates a gate, or the copy of it, that is here. Collective.
  package func update(_ gate: (any Gate)?, _ point: UpdatePoint) throws {
    for parameters in gate?.trained ?? [] { try update(parameters, point) }
  }

  /// Makes what belongs to a gate complete on rank 0, before it is saved. Collective.
  package func complete(_ gate: (any Gate)?) throws {
    for parameters in gate?.parameters ?? [] { try complete(parameters) }
  }
}

/// What a shard hands in after a forward pass.
package struct LayerParcel {
  /// What is sent to rank 0.
  fileprivate let sent: FeatureMap
  /// [gradient features][rows of the shard]
  package let gradient: FeatureMap
  /// [riders][rows of the shard]
  package let riders: FeatureMap

  /// - Parameter sent: of which `riders` is a part.
  package init(sent: FeatureMap, gradient: FeatureMap, riders: FeatureMap) {
    self.sent = sent
    self.gradient = gradient
    self.riders = riders
  }
}

/// What came of the parcels of all shards.
package struct CollectedParcels {
  /// Of the messages of the gate's blocks here; nil where it is elsewhere.
  package let gradient: FeatureMap?
  /// [riders][B] on rank 0, nil elsewhere.
  package let riders: FeatureMap?
  /// The largest word of all ranks on rank 0; elsewhere this rank's own.
  package let word: Float

  package init(gradient: FeatureMap?, riders: FeatureMap?, word: Float) {
    self.gradient = gradient
    self.riders = riders
    self.word = word
  }
}

/// The gate is on rank 0.
package final class RootPlace: GatePlace {
  package let sums: any BlockSums = WholeBatch()
  private let channel: RootChannel
  package let isHere: Bool
  package var isReplicated: Bool { false }

  package init(_ communicator: any Communicator) {
    channel = RootChannel(communicator)
    isHere = communicator.rank == 0
  }

  package func blocks(of batch: BatchBlocks) -> Range<Int> { isHere ? 0..<batch.count : 0..<0 }

  package func begin(_ batch: BatchBlocks, message: FeatureMap, in workspace: Workspace) -> FeatureMap? {
    channel.wholeMap(features: message.features, batch, in: workspace)
  }

  package func deliver(
    _ written: FeatureMap?, into message: FeatureMap, _ batch: BatchBlocks, word: Float,
    in workspace: Workspace
  ) throws -> Float {
    try channel.scatter(written, into: message, batch, word: word)
  }

  package func parcel(gradient: Int, riders: Int, rows: Int, in workspace: Workspace) -> LayerParcel {
    let sent = workspace.map(features: gradient + riders, rows: rows)
    return LayerParcel(
      sent: sent, gradient: sent.part(0..<gradient), riders: sent.part(gradient..<gradient + riders))
  }

  package func collect(
    _ parcel: LayerParcel, _ batch: BatchBlocks, word: Float, in workspace: Workspace
  ) throws -> CollectedParcels {
    let whole = channel.wholeMap(features: parcel.sent.features, batch, in: workspace)
    let raised = try channel.gather(parcel.sent, into: whole, batch, word: word)
    let gradient = parcel.gradient.features
    return CollectedParcels(
      gradient: whole?.part(0..<gradient), riders: whole?.part(gradient..<parcel.sent.features), word: raised)
  }

  package func squareSum(_ parameters: Parameters) -> Double { parameters.squareSum() }
  package func update(_ parameters: Parameters, _ point: UpdatePoint) { parameters.update(point) }
  package func complete(_ parameters: Parameters) {}
  package func completeGradients(_ parameters: Parameters) {}
}

/// Every rank has a copy of the gate and works on the blocks of its shard.
package final class ReplicatedPlace: GatePlace {
  private let replicas: ReplicatedBlocks
  private let channel: RootChannel
  private let rank: Int
  package var isHere: Bool { true }
  package var isReplicated: Bool { true }
  package var sums: any BlockSums { replicas }

  package init(_ communicator: any Communicator) {
    replicas = ReplicatedBlocks(communicator)
    channel = RootChannel(communicator)
    rank = communicator.rank
  }

  package func blocks(of batch: BatchBlocks) -> Range<Int> { batch.blocks(of: rank) }

  package func begin(_ batch: BatchBlocks, message: FeatureMap, in workspace: Workspace) -> FeatureMap? {
    replicas.begin(batch)
    return message
  }

  /// Messages are where they are wanted: only the word travels.
  package func deliver(
    _ written: FeatureMap?, into message: FeatureMap, _ batch: BatchBlocks, word: Float,
    in workspace: Workspace
  ) throws -> Float {
    let whole = channel.wholeMap(features: 0, batch, in: workspace)
    return try channel.scatter(
      whole, into: workspace.map(features: 0, rows: message.rows), batch, word: word)
  }

  package func parcel(gradient: Int, riders: Int, rows: Int, in workspace: Workspace) -> LayerParcel {
    let sent = workspace.map(features: riders, rows: rows)
    return LayerParcel(
      sent: sent, gradient: workspace.map(features: gradient, rows: rows), riders: sent)
  }

  package func collect(
    _ parcel: LayerParcel, _ batch: BatchBlocks, word: Float, in workspace: Workspace
  ) throws -> CollectedParcels {
    let whole = channel.wholeMap(features: parcel.sent.features, batch, in: workspace)
    let raised = try channel.gather(parcel.sent, into: whole, batch, word: word)
    return CollectedParcels(gradient: parcel.gradient, riders: whole, word: raised)
  }

  package func squareSum(_ parameters: Parameters) throws -> Double { try replicas.squareSum(parameters) }

  package func update(_ parameters: Parameters, _ point: UpdatePoint) throws {
    try replicas.update(parameters, point)
  }

  package func complete(_ parameters: Parameters) throws { try replicas.gatherState(of: parameters) }

  package func completeGradients(_ parameters: Parameters) throws {
    guard let training = parameters.training else { return }
    try replicas.gather(training.gradients, of: parameters)
  }
}
