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
  package let expertSpec: any ModuleSpec
  /// What is in front of the mixture layers, and behind them; nil where the one layer takes the images and its experts
  /// answer for the classes.
  package let trunkSpec: (any ModuleSpec)?
  package let headSpec: (any ModuleSpec)?
  /// Mixture layers, one behind the other, all of the same sizes.
  public let layers: Int
  package let rule: StepRule
  package let trainsGate: Bool
  package let trainsExperts: Bool
  /// Whether losses of the gate's choice see the whole batch on rank 0, and whether they see its images.
  package let isRegularised: Bool
  /// Vectors that the optimiser keeps of what is trained.
  package let optimiserState: Int
  package let lossesNeedRows: Bool
  package let dataBytes: Int
  public let gatePlacement: GatePlacement
  /// Of every rank.
  public let threads: Int

  /// - Throws: ``Failure`` with the exit code for wrong usage where the model does not fit the data.
  public init(_ configuration: Configuration, size: DataSetSize) throws(Failure) {
    guard let family = NetworkFamilies.named(configuration.model) else {
      throw Failure(
        .usage,
        "unknown model '\(configuration.model)'; known are \(NetworkFamilies.all.map(\.name).joined(separator: ", "))"
      )
    }
    if let reason = family.misfit(size.shape) {
      throw Failure(
        .usage,
        "model '\(family.name)' does not fit data set '\(configuration.dataset)': \(reason); choose another \(setting: "model")"
      )
    }
    let design = configuration.gateDesign
    if let objection = design.objection(to: family) { throw Failure(.usage, Message(objection)) }
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
    optimiserState = configuration.optimiserRule.state.count
    dataBytes = (size.trainingSamples + size.testSamples) * size.shape.pixels
    let lists = configuration.gate == .classes ? configuration.expertClasses.flatMap { ClassLists($0) } : nil
    trunkSpec = family.trunk(size.shape)
    let rows = trunkSpec.map { ImageShape(features: $0.outputs) } ?? size.shape
    headSpec = family.head(rows: rows, classes: size.classes)
    layers = headSpec == nil ? 1 : configuration.layers
    var request = GateRequest(
      family: family, input: rows, experts: experts, classes: size.classes, blockRows: blockRows,
      sums: WholeBatch(), team: .alone(),
      products: configuration.products, training: trainsGate,
      expertOfClass: try lists?.expertOfClass(classes: size.classes, dataset: configuration.dataset))
    request.rowsAreTrained = trunkSpec != nil
    gateRequest = request
    gateSize = design.size(gateRequest)
    expertSpec = family.expert(rows: rows, classes: size.classes)
    rule = StepRule(configuration, gate: gateRequest, training: true)
  }

  /// What gate and scorers of a layer are made from.
  package func gateRequest(layer: Int) -> GateRequest {
    var request = gateRequest
    request.scope = ModelOutline.scope(layer: layer)
    return request
  }

  /// What the names of a layer's tensors begin with: nothing for the first.
  package static func scope(layer: Int) -> String { layer == 0 ? "" : "layers.\(layer + 1)." }

  public var hasGate: Bool { gateKind != .none }
  /// Whether the gate has tensors, and so work of its own.
  package var gateComputes: Bool { !gateSize.tensors.isEmpty }
  /// Whether mixture layers lie inside a deeper network.
  public var isDeep: Bool { headSpec != nil }
  /// The gate's network where it is one of the paper's, of an attentive gate but for its last layer.
  package var gateNetwork: NetworkSpec? { gateRequest.network as? NetworkSpec }
  /// An expert's network where it is one of the paper's.
  package var expertNetwork: NetworkSpec? {
    (expertSpec as? LogProbabilitiesSpec)?.logits as? NetworkSpec
  }
  /// Values of a row as it travels to an expert.
  package var rowFeatures: Int { gateRequest.input.pixels }
  /// Blocks of a batch, K.
  public var blocks: Int { (batchRows + blockRows - 1) / blockRows }
  /// Whether every expert takes every row.
  public var isDense: Bool { rule.routing.takesAll }
  /// Experts that a row is sent to.
  package var slots: Int { rule.routing.slots(experts: experts) }
  /// Values of one answer.
  package var answerWidth: Int { rule.layout.width }
  /// Bytes of a row on the wire.
  package var rowBytes: Int { isDeep ? 4 * rowFeatures : payload.rowBytes(pixels: input.pixels) }

  // MARK: FLOPs per row of a training step

  package var gateFlops: Int { gateSize.forwardFlops + (trainsGate ? gateSize.backwardFlops : 0) }
  package var expertFlops: Int {
    expertSpec.forwardFlops + (trainsExperts ? expertBackwardFlops : 0)
  }
  /// Of one expert, with the gradient of its rows where they have one.
  package var expertBackwardFlops: Int {
    expertSpec.backwardFlops + (isDeep ? expertSpec.inputGradientFlops : 0)
  }
  /// Of trunk and head.
  package var trunkFlops: (forward: Int, backward: Int) {
    var sum = (forward: trunkSpec?.forwardFlops ?? 0, backward: trunkSpec?.backwardFlops ?? 0)
    if let headSpec {
      sum.forward += headSpec.forwardFlops
      sum.backward += headSpec.backwardFlops + headSpec.inputGradientFlops
    }
    return sum
  }
  /// Trained parameters of trunk and head.
  package var trunkParameters: Int { (trunkSpec?.parameterCount ?? 0) + (headSpec?.parameterCount ?? 0) }

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
      expertBackward: trainsExperts ? share * Double(expertBackwardFlops) : 0, overlaps: isDense)
  }

  // MARK: Memory

  /// An estimate of the bytes that a rank allocates at most: parameters with gradients and the optimiser's state, workspaces for the largest batch, the
  /// data. Workspaces are taken from the system only where they are used. ``tooMuchMemory`` stands for everything above it.
  ///
  /// - Parameters:
  ///   - experts: how many live there.
  ///   - gate: whether the gate lives there.
  ///   - training: whether gradients are taken.
  package func memory(experts count: Int, gate: Bool, training: Bool = true) -> Int {
    guard memoryIsCountable else { return ModelOutline.tooMuchMemory }
    var bytes = dataBytes
    // What rank 0 knows of a batch.
    bytes += Workspace.bytes(
      floats: FeatureMap.count(
        features: 2 * experts + 1, rows: max(batchRows, ModelSession.evaluationRows)))
    let tensors = expertSpec.tensors(prefix: "experts.0")
    bytes +=
      layers * count * Parameters.bytes(tensors, training: training && trainsExperts, state: optimiserState)
    bytes += layers * expertMemory(count)
    for rows in [batchRows, ModelSession.evaluationRows] { bytes += layers * shardMemory(rows) }
    for spec in [trunkSpec, headSpec].compactMap({ $0 }) {
      bytes +=
        Parameters.bytes(spec.tensors(prefix: ""), training: training, state: optimiserState)
        + kept(spec, blocks: blocks)
    }
    guard gate, gateComputes else { return bytes }
    bytes +=
      layers * Parameters.bytes(gateSize.tensors, training: training && trainsGate, state: optimiserState)
    return bytes + layers * kept(gateRequest.network, blocks: training && trainsGate ? blocks : 1)
  }

  /// More bytes than any host has.
  package static let tooMuchMemory = 1 << 60

  /// Whether the sum below stays far from the largest number: rows × experts × features × layers, with what a row takes in
  /// the largest module.
  private var memoryIsCountable: Bool {
    let specs = [expertSpec, trunkSpec, headSpec, gateRequest.network].compactMap { $0 }
    let ofRow =
      specs.map { spec in
        let rows = laneCount
        return spec.workspaceBytes(rows: rows, blocks: 1, products: gateRequest.products)
          + spec.scratchBytes(rows: rows, blocks: 1, products: gateRequest.products)
      }.max() ?? 0
    let rows = Double(max(batchRows, blockRows, ModelSession.evaluationRows))
    let features = Double(rowFeatures + answerWidth + 64)
    return Double(layers) * Double(experts) * rows * (Double(ofRow) + 64 * features) < 0x1p60
  }

  private func kept(_ spec: any ModuleSpec, blocks: Int) -> Int {
    blocks * spec.workspaceBytes(rows: blockRows, blocks: blocks, products: gateRequest.products)
  }

  /// What a number of experts work in, for the largest batches.
  private func expertMemory(_ count: Int) -> Int {
    guard count > 0 else { return 0 }
    let products = gateRequest.products
    func bytes(pairs: Int, experts: Int, rowsOfOne: Int) -> Int {
      // Every expert's rows are padded to a whole vector, and its maps have one more.
      let rows = pairs + experts * 31
      return expertSpec.workspaceBytes(rows: rows, blocks: 1, products: products)
        + experts * expertSpec.scratchBytes(rows: rowsOfOne, blocks: 1, products: products)
        + Workspace.bytes(floats: Tiles.floats(pixels: rowFeatures, rows: rows))
        + 2 * Workspace.bytes(floats: FeatureMap.count(features: answerWidth, rows: rows))
    }
    let evaluationRows = ModelSession.evaluationRows
    let atATime = min(threads, count)
    let evaluated =
      bytes(pairs: evaluationRows * atATime, experts: atATime, rowsOfOne: evaluationRows)
      + Workspace.bytes(floats: answerWidth * (evaluationRows * count + 31 * count) + count * laneCount)
      + Workspace.bytes(floats: Tiles.floats(pixels: rowFeatures, rows: evaluationRows))
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
