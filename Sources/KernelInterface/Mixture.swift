/// How a row's experts become the model's output and loss.
public struct MixtureRule: Equatable, Sendable {
  /// What the experts' answers are weighed by.
  public enum Weights: Equatable, Sendable {
    /// p of the full softmax; the mass of experts that are in no slot predicts nothing (1/C per class).
    case full
    /// A softmax over the logits of the slots that are filled.
    case renormalised
  }

  /// E
  public let experts: Int
  /// What an answer consists of.
  public let layout: AnswerLayout
  /// T of p = softmax(score/T).
  public var temperature: Float
  /// T of the loss that the experts are trained with.
  public let expertTemperature: Float
  /// What the answers are weighed by.
  public let weights: Weights
  /// The loss of Jacobs et al. 1991, −ln Σ_e p_e exp(−½ CE_e); predictions are the arg-max expert's.
  public let jacobs: Bool
  /// Every expert answered, so that answers lie by expert, whichever of them the row's mixture takes.
  public let everyExpertAnswers: Bool

  /// - Parameters:
  ///   - experts: E
  ///   - layout: of an answer.
  ///   - temperature: T of the gate's loss and of the predictions.
  ///   - expertTemperature: T of the experts' loss; nil: the same.
  ///   - weights: what the answers are weighed by.
  ///   - jacobs: whether the loss is that of Jacobs et al. 1991.
  ///   - everyExpertAnswers: whether answers lie by expert.
  public init(
    experts: Int, layout: AnswerLayout, temperature: Float, expertTemperature: Float? = nil,
    weights: Weights, jacobs: Bool, everyExpertAnswers: Bool
  ) {
    self.experts = experts
    self.layout = layout
    self.temperature = temperature
    self.expertTemperature = expertTemperature ?? temperature
    self.weights = weights
    self.jacobs = jacobs
    self.everyExpertAnswers = everyExpertAnswers
  }

  /// C
  @inlinable @inline(__always)
  public var classes: Int { layout.classes }
  /// Gate and experts have losses of their own, each with the other detached.
  @inlinable @inline(__always)
  public var hasTwoTemperatures: Bool { expertTemperature != temperature }
}

/// What a shard says to rank 0 about a row.
public enum RowReport: Int, CaseIterable {
  /// What training minimises.
  case loss
  /// −ln of the label's probability.
  case crossEntropy
  /// The model's class; ties to the lowest.
  case prediction
  /// The model's probability of that class.
  case confidence
  /// The class that the arg-max expert of the slots itself predicts; the lowest where all slots are empty.
  case chosenClass
  /// How many classes come before the label.
  case labelRank
}

/// The rows of one shard, ready for their mixture.
public struct MixtureInput {
  /// Rows with their scores, answers and labels; nothing is copied.
  public init(
    scores: FeatureMap, answers: FeatureMap, table: UnsafePointer<Int32>?, slots: Int,
    labels: UnsafePointer<UInt8>, batchRows: Int
  ) {
    self.scores = scores
    self.answers = answers
    self.table = table
    self.slots = slots
    self.labels = labels
    self.batchRows = batchRows
  }

  /// [experts][rows]
  public let scores: FeatureMap
  /// [slots · width][rows], see ``AnswerLayout``.
  public let answers: FeatureMap
  /// The experts of the slots, [rows][slots], negative where a slot is empty; nil where slot = expert. The answers of an empty
  /// slot are finite, and nobody's. A row without any expert predicts 1/C per class.
  public let table: UnsafePointer<Int32>?
  /// Experts that answer a row.
  public let slots: Int
  /// One per row.
  public let labels: UnsafePointer<UInt8>
  /// B, the global number of rows.
  public let batchRows: Int
}

/// Where the gradients of the mixture go.
public struct MixtureGradients {
  /// Gradients that go to these maps.
  public init(gateScores: FeatureMap, expertScores: FeatureMap, answers: FeatureMap?) {
    self.gateScores = gateScores
    self.expertScores = expertScores
    self.answers = answers
  }

  /// [experts][rows], of the loss that the gate is trained with.
  public let gateScores: FeatureMap
  /// [experts][rows], of the loss that the experts are trained with; the same map where the two do not differ.
  public let expertScores: FeatureMap
  /// Like the answers; nil where the experts are frozen.
  public let answers: FeatureMap?
}

extension MixtureRule {
  /// Floats of memory that a level's mixture takes while it runs.
  public func memoryFloats(slots: Int) -> Int {
    (hasTwoTemperatures ? 2 : 1) * laneFloats(slots: slots)
  }

  /// Floats for sixteen rows at one temperature.
  @inlinable @inline(__always)
  public func laneFloats(slots: Int) -> Int { (2 &* experts &+ 2 &* slots &+ classes) &* laneCount }
}

/// The values of one answer: what the expert gives, for the paper's networks ln y of every class, then the expert's hidden
/// values where the gate asks for them.
public struct AnswerLayout: Equatable, Sendable {
  /// Values that the expert answers; those of a mixture over images are the C classes.
  public let classes: Int
  /// Hidden values of the expert behind them; 0 where the gate does not ask for any.
  public let hidden: Int

  /// An answer of so many values, and so many hidden ones behind them.
  public init(classes: Int, hidden: Int) {
    self.classes = classes
    self.hidden = hidden
  }

  /// Values of an answer in all.
  @inlinable @inline(__always)
  public var width: Int { classes &+ hidden }
  /// The feature of a class in a slot.
  @inlinable @inline(__always)
  public func feature(slot: Int, class c: Int) -> Int { slot &* width &+ c }
  /// The feature of a hidden value in a slot.
  @inlinable @inline(__always)
  public func feature(slot: Int, hidden h: Int) -> Int { slot &* width &+ classes &+ h }
}
