public import DataSets
public import Files
internal import KernelInterface
public import MoE
package import Networks
public import Numerics

/// The sizes of a model and of its step, known without data, parameters or ranks: what plans and costs are made from.
public struct ModelOutline {
  public let model: String
  public let gateKind: GateKind
  public let input: ImageShape
  public let classes: Int
  public let experts: Int
  public let batchRows: Int
  public let blockRows: Int
  public let payload: Payload
  package let gateRequest: GateRequest
  package let gateSize: GateSize
  package let expertSpec: NetworkSpec
  package let rule: StepRule
  package let trainsGate: Bool
  package let trainsExperts: Bool
  /// Whether losses of the gate's choice see the whole batch on rank 0, and whether they see its images.
  package let isRegularised: Bool
  package let lossesNeedRows: Bool
  package let dataBytes: Int
  public let gatePlacement: GatePlacement
  /// Of every rank.
  public let threads: Int

  /// - Throws: ``Failure`` with the exit code for wrong usage where the model does not fit the data.
  public init(_ configuration: Configuration, size: DataSetSize) throws(Failure) {
    guard let family = NetworkFamily.named(configuration.model) else {
      throw Failure(
        .usage,
        "unknown model '\(configuration.model)'; known are "
          + NetworkFamily.all.map(\.name).joined(separator: ", "))
    }
    if let reason = family.misfit(size.shape) {
      throw Failure(
        .usage,
        "model '\(family.name)' does not fit data set '\(configuration.dataset)': \(reason); choose another --model"
      )
    }
    let design = configuration.gateDesign
    if let objection = design.objection(to: family) { throw Failure(.usage, objection) }
    model = family.name
    gateKind = configuration.gate
    input = size.shape
    classes = size.classes
    experts = configuration.modelExperts
    batchRows = min(configuration.batchSize, max(size.trainingSamples, 1))
    blockRows = configuration.blockRows
    payload = configuration.payload
    gatePlacement = configuration.gatePlacement
    threads = configuration.threads
    trainsGate = configuration.trainsGate
    trainsExperts = configuration.trainsExperts
    let losses = RoutingLosses(configuration.trainsGate ? configuration.routingLosses : [], temperature: 1)
    isRegularised = losses.haveBatchScope
    lossesNeedRows = losses.needRows
    dataBytes = (size.trainingSamples + size.testSamples) * size.shape.pixels
    let lists = configuration.gate == .classes ? configuration.expertClasses.flatMap { ClassLists($0) } : nil
    gateRequest = GateRequest(
      family: family, input: size.shape, experts: experts, classes: size.classes, blockRows: blockRows,
      sums: WholeBatch(), team: .alone(),
      products: configuration.products, training: trainsGate,
      expertOfClass: try lists?.expertOfClass(classes: size.classes, dataset: configuration.dataset))
    gateSize = design.size(gateRequest)
    expertSpec = family.expert(input: size.shape, classes: size.classes)
    rule = StepRule(configuration, gate: gateRequest, training: true)
  }

  public var hasGate: Bool { gateKind != .none }
  /// Whether the gate has tensors, and so work of its own.
  package var gateComputes: Bool { !gateSize.tensors.isEmpty }
  /// The gate's network, of an attentive gate but for its last layer.
  package var gateSpec: NetworkSpec { gateRequest.family.gate(input: input, experts: experts) }
  /// Blocks of a batch, K.
  public var blocks: Int { (batchRows + blockRows - 1) / blockRows }
  /// Whether every expert takes every row.
  public var isDense: Bool { rule.routing.takesAll }
  /// Experts that a row is sent to.
  package var slots: Int { rule.routing.slots(experts: experts) }
  /// Values of one answer.
  package var answerWidth: Int { rule.mixture.layout.width }
  /// Bytes of a row on the wire.
  package var rowBytes: Int { payload.rowBytes(pixels: input.pixels) }

  // MARK: FLOPs per row of a training step

  package var gateFlops: Int { gateSize.forwardFlops + (trainsGate ? gateSize.backwardFlops : 0) }
  package var expertFlops: Int {
    expertSpec.forwardFlops + (trainsExperts ? expertSpec.backwardFlops : 0)
  }

  /// The loads of gate and experts in FLOPs per batch.
  ///
  /// A replicated gate is as much work on every rank, and so no reason to put an expert elsewhere.
  package var flopLoad: PlacementLoad {
    let rows = Double(batchRows)
    let isOnRoot = gatePlacement == .root
    let share = rows * Double(slots) / Double(experts)
    return PlacementLoad(
      gateForward: isOnRoot ? rows * Double(gateSize.forwardFlops) : 0,
      gateBackward: trainsGate && isOnRoot ? rows * Double(gateSize.backwardFlops) : 0,
      expertForward: share * Double(expertSpec.forwardFlops),
      expertBackward: trainsExperts ? share * Double(expertSpec.backwardFlops) : 0, overlaps: isDense)
  }

  // MARK: Memory

  /// An estimate of the bytes that a rank allocates at most: parameters with gradients and moments, workspaces for the largest batch, the
  /// data. Workspaces are taken from the system only where they are used.
  ///
  /// - Parameters:
  ///   - experts: how many live there.
  ///   - gate: whether the gate lives there.
  package func memory(experts count: Int, gate: Bool) -> Int {
    var bytes = dataBytes
    let tensors = expertSpec.tensors(prefix: "experts.0")
    bytes += count * Parameters.bytes(tensors, training: trainsExperts)
    bytes += expertMemory(count)
    for rows in [batchRows, ModelSession.evaluationRows] { bytes += shardMemory(rows) }
    guard gate, gateComputes else { return bytes }
    let spec = gateSpec
    bytes += Parameters.bytes(gateSize.tensors, training: trainsGate)
    let kept = trainsGate ? blocks : 1
    return bytes + kept * spec.workspaceBytes(rows: blockRows, blocks: kept, products: gateRequest.products)
  }

  /// What a number of experts work in, for the largest batches.
  private func expertMemory(_ count: Int) -> Int {
    guard count > 0 else { return 0 }
    let products = gateRequest.products
    func bytes(pairs: Int, experts: Int, rowsOfOne: Int) -> Int {
      // Every expert's rows are padded to a whole vector, and its maps have one more.
      let rows = pairs + experts * 31
      return expertSpec.workspaceBytes(rows: rows, products: products)
        + experts * expertSpec.scratchBytes(rows: rowsOfOne, products: products)
        + Workspace.bytes(floats: Tiles.floats(pixels: input.pixels, rows: rows))
        + 2 * Workspace.bytes(floats: FeatureMap.count(features: answerWidth, rows: rows))
    }
    let evaluationRows = ModelSession.evaluationRows
    let atATime = min(threads, count)
    let evaluated =
      bytes(pairs: evaluationRows * atATime, experts: atATime, rowsOfOne: evaluationRows)
      + Workspace.bytes(floats: answerWidth * (evaluationRows * count + 31 * count) + count * laneCount)
      + Workspace.bytes(floats: Tiles.floats(pixels: input.pixels, rows: evaluationRows))
    return max(
      bytes(pairs: batchRows * min(slots, count), experts: count, rowsOfOne: batchRows), evaluated)
  }

  /// What a shard works in: message, scores, what it hands in, on the shard and on rank 0; answers and their gradients;
  /// blocks of the input.
  private func shardMemory(_ rows: Int) -> Int {
    let message = rule.scorer.messageFeatures
    let features =
      3 * message + 8 * experts + 2 * (message + RowReport.allCases.count) + 2 * slots * answerWidth
    let blocks = (rows + blockRows - 1) / blockRows
    return Workspace.bytes(floats: FeatureMap.count(features: features, rows: rows))
      + Workspace.bytes(floats: blocks * Tiles.floats(pixels: input.pixels, rows: blockRows))
      + Workspace.bytes(
        floats: rule.mixture.memoryFloats(slots: rule.selection.slots(experts: experts)))
  }
}
