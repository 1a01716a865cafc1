package import Dist
internal import KernelInterface
package import MoE
package import Networks
internal import Numerics

/// Trunk → two mixture layers → head, made and run as a client of the library does. The layers have nothing in common:
/// neither E, k, width, weights, temperature and losses, nor the place of the gate, the places of the experts and the key
/// of the noise. A batch has six blocks, the last of them partial.
package final class StackedLayers {
  /// What one of the layers is made from.
  package struct Shape: Sendable {
    /// What the names of its tensors begin with, and the key of its noise.
    package let name: String
    package let inputs, outputs, experts, hidden: Int
    package let k: Int
    package let weights: LinearCombine.Weights
    /// T
    package let temperature: Double
    /// Factor of the noise.
    package let noise: Double
    /// Weights of the losses of the gate's choice; none where one is 0.
    package let importance, zLoss, loadBalance: Double
    let replicatesGate: Bool
    /// Of the experts on so many ranks.
    let placement: @Sendable (Int) -> ExpertPlacement

    package var gate: SequentialSpec {
      SequentialSpec([Dense(experts, label: "out")], input: ImageShape(features: inputs))
    }
    package var expert: SequentialSpec {
      SequentialSpec([Dense(hidden), GELU(), Dense(outputs)], input: ImageShape(features: inputs))
    }
    var losses: [any RoutingLoss] {
      var losses: [any RoutingLoss] = []
      if importance != 0 { losses.append(ImportanceLoss(weight: importance)) }
      if zLoss != 0 { losses.append(RouterZLoss(weight: zLoss)) }
      if loadBalance != 0 { losses.append(LoadBalanceLoss(weight: loadBalance)) }
      return losses
    }
    var readout: LinearCombine { LinearCombine(weights, temperature: Float(temperature)) }
  }

  package static let shapes = [
    Shape(
      name: "layers.1", inputs: 6, outputs: 7, experts: 3, hidden: 8, k: 2, weights: .renormalised,
      temperature: 0.75, noise: 1.5, importance: 0.3, zLoss: 0.2, loadBalance: 0, replicatesGate: false
    ) { .roundRobin(experts: 3, ranks: $0) },
    Shape(
      name: "layers.2", inputs: 7, outputs: 5, experts: 5, hidden: 6, k: 1, weights: .full, temperature: 1.5,
      noise: 2.5, importance: 0, zLoss: 0.1, loadBalance: 0.4, replicatesGate: true
    ) { ranks in
      // The last experts on the first rank.
      ExpertPlacement(
        owners: ExpertPlacement.block(experts: 5, ranks: ranks).owners.map { ranks - 1 - $0 }, ranks: ranks)
    },
  ]
  package static let trunk = SequentialSpec([Dense(6), GELU()], input: ImageShape(features: 5))
  package static let head = SequentialSpec([Dense(4, label: "out")], input: ImageShape(features: 5))
  package static let (rows, blockRows, seed) = (45, 8, UInt64(3))

  private let communicator: any Communicator
  private let shared: ReplicatedBlocks
  private let trunk, head: any Module
  private let layers: [MixtureLayer]
  private let memory = Workspace()

  package init(over communicator: any Communicator) {
    self.communicator = communicator
    shared = ReplicatedBlocks(communicator)
    let context = ModuleContext(sums: shared)
    trunk = Self.trunk.makeModule(prefix: "trunk", isTapped: false, context)
    head = Self.head.makeModule(prefix: "head", isTapped: false, context)
    layers = Self.shapes.map { shape in
      MixtureLayer(
        experts: shape.experts, outputs: shape.outputs, blockRows: Self.blockRows,
        selection: TopK(shape.k, noise: ScoreNoise(factor: shape.noise)),
        scorer: MessageScorer(messageFeatures: shape.experts), losses: shape.losses,
        temperature: Float(shape.temperature), placement: shape.placement(communicator.size),
        replicatesGate: shape.replicatesGate, over: communicator,
        gate: { SoftmaxGate(shape.gate, prefix: "\(shape.name).gate", $0) },
        expert: { shape.expert.makeModule(prefix: "\(shape.name).experts.\($0)", isTapped: false, $1) })
    }
    for parameters in parameters {
      parameters.initialise(seed: Self.seed)
      parameters.prepare(for: Adam())
    }
  }

  // MARK: The task

  /// The samples of a step's batch, by row.
  package static func samples(ofStep step: Int) -> [Int32] {
    (0..<Int32(rows)).map { Int32(1000 * step) - 7 * $0 }
  }

  /// A sample is a function of its number.
  package static func sample(_ number: Int32) -> (x: [Float], label: Int) {
    let stream = RandomStream(seed: 11, purpose: .synthetic)
    let x = (0..<trunk.inputs).map {
      2 * RandomStream.symmetric(stream.words(UInt64(number), UInt64($0 / 4))[$0 % 4])
    }
    return (x, (x[0] + x[1] > 0 ? 1 : 0) + (x[2] * x[3] > 0 ? 2 : 0))
  }

  // MARK: A step

  package struct Outcome {
    /// Mean cross-entropy of the batch.
    package let entropy: Double
    /// By layer, what the losses of the gate's choice came to: on rank 0, empty elsewhere.
    package let losses: [[NamedValue]]
    /// By layer, the experts of this rank's rows.
    package let tables: [SlotTable?]
  }

  /// Forward and backward over a batch: the gradients are those of the mean cross-entropy and of all losses together.
  /// Collective.
  package func run(step: Int) throws -> Outcome {
    memory.reset()
    let batch = layers[0].batch(rows: Self.rows)
    shared.begin(batch)
    let numbers = Self.samples(ofStep: step)
    let samples = batch.blocks(of: communicator.rank).map { batch[$0].map { Self.sample(numbers[$0]) } }
    let rows = samples.map(\.count)
    let pieces = samples.map { _ in memory.piece() }
    func maps(_ features: Int) -> [FeatureMap] { memory.maps(features: features, rows: rows) }

    let x = maps(trunk.inputs)
    for (map, block) in zip(x, samples) { map.write(block.map(\.x)) }
    var hidden = maps(trunk.outputs)
    let ofTrunk = try trunk.forward(x, into: hidden, in: pieces)
    var passes: [MixturePass] = []
    for (layer, shape) in zip(layers, Self.shapes) {
      let point = StepPoint(
        mode: .training, seed: Self.seed, epoch: step, samples: numbers[...], layer: shape.name)
      let pass = try layer.forward(
        hidden, features: shape.inputs, batch, through: shape.readout, at: point)
      hidden = pass.outputs
      passes.append(pass)
    }
    let (logits, ofLogits) = (maps(head.outputs), maps(head.outputs))
    let ofHead = try head.forward(hidden, into: logits, in: pieces)
    let perBlock = CrossEntropy.perBlock(
      logits, labels: samples.map { $0.map(\.label) }, batchRows: Self.rows, into: ofLogits, in: memory)
    let entropy = try communicator.reduceBlocks(perBlock, count: batch.count, length: 1)[0]

    var gradient = maps(head.inputs)
    try head.backward(ofHead, dy: ofLogits, into: gradient)
    for index in layers.indices.reversed() {
      let below = maps(Self.shapes[index].inputs)
      try layers[index].backward(
        passes[index], gradients: gradient, through: Self.shapes[index].readout, into: below)
      gradient = below
    }
    try trunk.backward(ofTrunk, dy: gradient, into: nil)
    return Outcome(entropy: entropy, losses: passes.map(\.losses), tables: passes.map(\.table))
  }

  /// Updates everything from the gradients of the last batch. Collective.
  package func update(step: Int) throws {
    let point = UpdatePoint(step: step, learningRate: 0.02)
    for parameters in trunk.parameters + head.parameters { try shared.update(parameters, point) }
    for layer in layers { try layer.update(point) }
  }

  // MARK: Tensors

  private var parameters: [Parameters] {
    trunk.parameters + head.parameters + layers.flatMap(\.parameters)
  }

  /// The tensors that this rank holds, copies among them, by name.
  package var tensors: [String: [Float]] { read { $0.values } }

  /// The gradients of the last batch; of modules with copies on several ranks each rank has a share only.
  package var gradients: [String: [Float]] { read { $0.training?.gradients } }

  private func read(_ base: (Parameters) -> Floats?) -> [String: [Float]] {
    var tensors: [String: [Float]] = [:]
    for parameters in parameters {
      guard let base = base(parameters) else { continue }
      for place in parameters.places {
        tensors[place.spec.name] = (0..<place.spec.count).map { base[place.offset + $0] }
      }
    }
    return tensors
  }
}
