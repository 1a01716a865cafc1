public import KernelInterface
public import Networks

/// A loss of what the gate chooses: of its scores, its probabilities, and the experts that it selects.
///
/// Adding one: a file with a conformance, and one line where settings become losses. Metrics, records and reports have it by
/// its name.
public protocol RoutingLoss: AnyObject {
  /// Its key in `metrics.jsonl`: snake case, `…_loss`.
  var name: String { get }
  /// What it has to see at once, and so where it is taken.
  var scope: LossScope { get }
  /// What its gradient is taken by.
  var variable: LossVariable { get }

  /// Adds ∂(weighted loss)/∂variable of the view's rows to the gradient, and says what these rows add to the loss.
  ///
  /// - Parameters:
  ///   - view: the rows, and what the loss may know of them.
  ///   - gradient: [experts][rows], like the maps of the view.
  func add(_ view: RoutingView, to gradient: FeatureMap) -> LossValue
}

/// What a loss has to see at once, and so where it is taken.
public enum LossScope: Equatable, Sendable {
  /// A mean over rows: taken on their shards, block by block, by arithmetic per row alone; what the blocks add is summed
  /// along the tree.
  case row
  /// The whole batch in one call, on rank 0, which has the scores of all rows; their inputs only where they are needed,
  /// because rank 0 then reads the whole batch.
  case batch(needsRows: Bool)
}

/// What the gradient of a loss is taken by.
public enum LossVariable: Sendable {
  /// p = softmax(score/T); goes on to the scores by ∂L/∂s = p∘(∂L/∂p − ⟨p, ∂L/∂p⟩)/T.
  case probabilities
  /// The scores themselves, before temperature; noise is added to them, so the gradient passes it unchanged.
  case scores
}

/// What some rows add to a loss.
public struct LossValue: Equatable, Sendable {
  /// As it is reported.
  public var reported: Double
  /// As it is minimised.
  public var weighted: Double

  /// What rows add to the loss as it is reported, and the same times its weight.
  public init(reported: Double, weighted: Double) {
    self.reported = reported
    self.weighted = weighted
  }
}

/// What a loss said of a batch.
public struct NamedValue: Equatable, Sendable {
  /// That of the loss, see ``RoutingLoss/name``.
  public let name: String
  /// As it is reported.
  public let reported: Double
  /// As it is minimised.
  public let weighted: Double

  /// What the loss of a name said.
  public init(name: String, reported: Double, weighted: Double) {
    self.name = name
    self.reported = reported
    self.weighted = weighted
  }
}

extension [NamedValue] {
  /// What the same losses said of several layers, added name by name.
  package init(sums layers: [[NamedValue]]) {
    self = (layers.first ?? []).indices.map { index in
      NamedValue(
        name: layers[0][index].name, reported: layers.reduce(0) { $0 + $1[index].reported },
        weighted: layers.reduce(0) { $0 + $1[index].weighted })
    }
  }

  /// What all of them add to the loss.
  public var total: Double { reduce(0.0) { $0 + $1.weighted } }
}

/// The scores of some rows, [experts][rows] each.
public struct RoutingScores {
  /// As the gate made them.
  public let clean: FeatureMap
  /// Those that select experts and weigh them: with the selection's noise; the same map where it has none.
  public let used: FeatureMap

  /// The same map twice where there is no noise.
  public init(clean: FeatureMap, used: FeatureMap) {
    self.clean = clean
    self.used = used
  }
}

/// What a loss sees.
public struct RoutingView {
  /// Of all columns.
  public let scores: RoutingScores
  /// [experts][rows] softmax(score/T) of the scores in use.
  public let probabilities: FeatureMap
  /// T
  public let temperature: Float
  /// The columns that the call is about: a block of the shard, or the whole batch.
  public let rows: Range<Int>
  /// B, the global number of rows.
  public let batchRows: Int
  /// Of all columns, block by block; empty unless the loss needs rows.
  public let inputs: [RowBlock]
  /// Selects, when it is asked, the experts of all columns before capacity takes any away; nil where every expert takes
  /// every row.
  public let select: () -> SlotTable?

  /// What a loss sees of some rows; a test of one's own makes it by hand.
  public init(
    scores: RoutingScores, probabilities: FeatureMap, temperature: Float, rows: Range<Int>, batchRows: Int,
    inputs: [RowBlock], select: @escaping () -> SlotTable?
  ) {
    self.scores = scores
    self.probabilities = probabilities
    self.temperature = temperature
    self.rows = rows
    self.batchRows = batchRows
    self.inputs = inputs
    self.select = select
  }

  /// E
  public var experts: Int { probabilities.features }
}
