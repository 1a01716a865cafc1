public import KernelInterface

/// How a shard turns the gate's message and the experts' answers into a score per expert, and how gradients go back.
///
/// Scores are what p = softmax(score/T) is taken of. Only per-row arithmetic is allowed here: a row's bits must not
/// depend on the rows beside it, because the number of ranks decides which those are.
public protocol Scorer: Sendable {
  /// Values that the gate sends per row.
  var messageFeatures: Int { get }
  /// Values of the message that get a gradient; they come first.
  var gradientFeatures: Int { get }
  /// Values of an expert's last hidden layer that travel with each of its answers.
  var hiddenFeatures: Int { get }
  /// Why rows can be scored only when every expert has answered, and what to do about it; nil where they can before.
  var reasonForAll: String? { get }
  /// The scores are the message, so that rank 0 has them without being told.
  var scoresAreMessage: Bool { get }

  /// Writes the scores, [experts][rows].
  func score(_ rows: ShardRows, into scores: FeatureMap)

  /// Takes the scores' gradients to the message and to the hidden values of the answers.
  func backward(_ rows: ShardRows, _ gradients: ScoreGradients, into result: ScorerGradients)
}

extension Scorer {
  public var messageFeatures: Int { 0 }
  public var gradientFeatures: Int { messageFeatures }
  public var hiddenFeatures: Int { 0 }
  public var reasonForAll: String? { nil }
  public var scoresAreMessage: Bool { false }
  public func backward(_ rows: ShardRows, _ gradients: ScoreGradients, into result: ScorerGradients) {}
}

/// What a shard knows of its rows when they are scored.
public struct ShardRows {
  /// [message features][rows]
  public let message: FeatureMap
  /// [slots · width][rows]: per slot ln y of every class, then the hidden values. One slot per expert where the scorer
  /// has a reason for all.
  public let answers: FeatureMap
  /// What an answer consists of.
  public let layout: AnswerLayout
  /// [values][rows]: what the caller says of a row beside all this; of images their class, which oracles look at.
  public let signal: FeatureMap

  /// The class of a row, where the signal is that.
  func label(_ row: Int) -> Int { Int(signal[0][row]) }

  /// Maps of the same rows; nothing is copied.
  public init(message: FeatureMap, answers: FeatureMap, layout: AnswerLayout, signal: FeatureMap) {
    self.message = message
    self.answers = answers
    self.layout = layout
    self.signal = signal
  }
}

/// The gradients of the scores, [experts][rows] each, of the loss that the gate is trained with and of the one that the
/// experts are; the same map unless they see the gate at different temperatures.
public struct ScoreGradients {
  /// Of the loss that the gate is trained with.
  public let gate: FeatureMap
  /// Of the loss that the experts are trained with.
  public let experts: FeatureMap
  /// T of softmax(score/T) of the gate's loss.
  public let temperature: Float
  /// B, the global number of rows.
  public let batchRows: Int

  /// Gradients of scores at a temperature T, over a batch of B rows.
  public init(gate: FeatureMap, experts: FeatureMap, temperature: Float, batchRows: Int) {
    self.gate = gate
    self.experts = experts
    self.temperature = temperature
    self.batchRows = batchRows
  }
}

/// Where a scorer's gradients go.
public struct ScorerGradients {
  /// [gradient features][rows]
  public let message: FeatureMap
  /// Like ``ShardRows/answers``; nil where the experts are frozen.
  public let answers: FeatureMap?
  /// [rows]: the row's loss, to which a gate with a loss of its own adds it or which it replaces.
  public let losses: Floats

  /// Gradients that go to these maps.
  public init(message: FeatureMap, answers: FeatureMap?, losses: Floats) {
    self.message = message
    self.answers = answers
    self.losses = losses
  }
}
