public import KernelInterface
public import Networks
package import Numerics

/// The part of a gate that turns rows into a *message* per row, from which the row's shard scores the experts
/// (``Scorer``): on rank 0 for the whole batch, or on every rank for its own shard (``MixtureLayer``). It works on the
/// blocks of the batch, so that its bits do not depend on the number of ranks.
public protocol Gate: AnyObject {
  /// The gate's tensors, for checkpoint and update.
  var parameters: [Parameters] { get }
  /// FLOPs done so far.
  var work: ModuleWork { get set }

  /// Writes the message of all rows of the blocks, [message features][rows]. Collective among the gate's replicas.
  func forward(_ blocks: [RowBlock], mode: NetworkMode, into message: FeatureMap) throws

  /// Computes the gradients of the parameters over the whole batch from the gradient of the message of the last forward
  /// pass in training. Collective among the gate's replicas.
  ///
  /// - Parameters:
  ///   - gradient: [message features][rows of the blocks]
  ///   - rows: [row features][rows of the blocks], the gradients of the rows, to be written; nil: not wanted.
  /// - Throws: what sums over blocks of several ranks throw.
  func backward(_ gradient: FeatureMap, rows: FeatureMap?) throws
}

/// A gate whose tensors and work are those of one module.
public protocol ModuleGate: Gate {
  /// What makes messages of rows; its gradients are taken by the gate's backward pass.
  var module: any Module { get }
}

extension ModuleGate {
  public var parameters: [Parameters] { module.parameters }
  public var work: ModuleWork {
    get { module.work }
    set { module.work = newValue }
  }
}

/// What a gate is made for.
package struct GateRequest {
  package let family: any NetworkFamily
  /// The shape of the layer's rows.
  package let input: ImageShape
  package let experts: Int
  package let classes: Int
  package let blockRows: Int
  /// How sums over blocks become those of the whole batch.
  package var sums: any BlockSums
  /// Works on the blocks.
  package var team: ThreadTeam
  /// What computes the dense layers.
  package var products: DenseProducts
  /// Whether the gate's tensors are trained.
  package var training: Bool
  /// The expert of every class, where the user gave one.
  package let expertOfClass: [Int]?
  /// What the names of the layer's tensors begin with: nothing, or `layers.2.` and so on behind the first layer.
  package var scope = ""
  /// Whether rows get a gradient, because they come from a module.
  package var rowsAreTrained = false

  /// The gate's network with an output per expert.
  package var network: any ModuleSpec { family.gate(rows: input, experts: experts) }
  /// The same without its output layer: it gives the last hidden layer's values, before its activation.
  package var trunk: any ModuleSpec { family.gateTrunk(rows: input) }

  /// FLOPs of a network's backward pass per row.
  package func backwardFlops(_ spec: any ModuleSpec) -> Int {
    spec.backwardFlops + (rowsAreTrained ? spec.inputGradientFlops : 0)
  }

  package init(
    family: any NetworkFamily, input: ImageShape, experts: Int, classes: Int, blockRows: Int,
    sums: any BlockSums,
    team: ThreadTeam, products: DenseProducts, training: Bool, expertOfClass: [Int]?
  ) {
    self.family = family
    self.input = input
    self.experts = experts
    self.classes = classes
    self.blockRows = blockRows
    self.sums = sums
    self.team = team
    self.products = products
    self.training = training
    self.expertOfClass = expertOfClass
  }
}

/// A kind of gate: what it holds, what is computed for it, and how shards score experts with it.
///
/// Adding a gate: one file with a conformance, and one line in the list of ``GateKind``.
package protocol GateDesign: Sendable {
  /// The arg-max expert answers alone, whatever the combine rule.
  var choosesOne: Bool { get }
  /// Choosing needs the labels, so that figures are those of an oracle and nothing can be predicted.
  var isOracle: Bool { get }
  /// Every expert must have answered before one is chosen, also in evaluation.
  var needsEveryExpert: Bool { get }
  /// The gate's tensors and work.
  func size(_ request: GateRequest) -> GateSize
  /// The gate itself; nil for one without parameters.
  func makeGate(_ request: GateRequest) -> (any Gate)?
  /// What shards do with the message.
  func makeScorer(_ request: GateRequest, training: Bool) -> any Scorer
  /// Why the gate cannot work with a family of networks; nil where it can.
  func objection(to family: any NetworkFamily) -> String?
}

extension GateDesign {
  package var choosesOne: Bool { false }
  package var isOracle: Bool { false }
  package var needsEveryExpert: Bool { false }
  package func size(_ request: GateRequest) -> GateSize { GateSize() }
  package func makeGate(_ request: GateRequest) -> (any Gate)? { nil }
  package func objection(to family: any NetworkFamily) -> String? { nil }
}

/// A gate's tensors, and its FLOPs per row: 2 per multiply-add of convolutions and dense layers.
package struct GateSize {
  package var tensors: [TensorSpec] = []
  package var forwardFlops = 0
  package var backwardFlops = 0

  /// Trained parameters.
  package var parameterCount: Int { tensors.filter(\.isTrained).reduce(0) { $0 + $1.count } }
}

/// The single model's gate: its one expert always runs.
struct NoGateDesign: GateDesign {
  func makeScorer(_ request: GateRequest, training: Bool) -> any Scorer { ConstantScorer() }
}

/// Every expert scores 0.
private struct ConstantScorer: Scorer {
  func score(_ rows: ShardRows, into scores: FeatureMap) { scores.clear() }
}
