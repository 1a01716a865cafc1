import Glibc

/// What chooses and weighs the experts.
enum ReferenceGate: Equatable {
  /// A network's logits.
  case softmax
  /// A network's query against the experts' keys.
  case attentive
  /// log₂ y_label: the expert with the smallest loss, in bits; detached.
  case peeking
  /// −H(y_e) in bits: the surest expert; detached.
  case loudest
  /// A network that predicts ln y_e,label; the expert with the largest output answers.
  case loss
  /// The expert of every class.
  case classes([Int])

  /// The arg-max expert answers and learns alone.
  var choosesOne: Bool { self != .softmax && self != .attentive }

  /// Every expert runs on every row, because scores or the gate's loss need all answers.
  var needsAnswers: Bool {
    switch self {
    case .softmax, .classes: false
    case .attentive, .peeking, .loudest, .loss: true
    }
  }
}

enum ReferenceFreeze: String { case none, gate, experts }

/// Gate, rule, losses and temperatures of a training run.
struct ReferenceMethod: Equatable {
  var gate = ReferenceGate.softmax
  var rule = ReferenceRule.expectation
  /// T of p = softmax(scores/T).
  var temperature = 1.0
  /// T of p in the experts' loss, if gate and experts have losses of their own, each with the other detached.
  var expertTemperature: Double?
  /// w of w·L_imp.
  var importance = 0.0
  var similarity: ReferenceSimilarity?
  /// w of w·mean (ln Σ exp s)², and of w·E·Σ f P.
  var zLoss = 0.0
  var loadBalance = 0.0
  /// c: an expert takes at most ⌈c·k·B/E⌉ rows in training, the first ones.
  var capacity: Double?
  /// Added to the scores in training, [row][E].
  var noise: [[Double]]?
  var freeze = ReferenceFreeze.none
  /// The gate learns the teacher's probabilities instead of a loss of its own.
  var hasTeacher = false

  /// The rule that the gate allows.
  var appliedRule: ReferenceRule { gate.choosesOne ? .topK(1, full: false) : rule }

  /// What is left of the experts of each row where none may have more rows than its capacity.
  func limited(_ chosen: [[Int]], experts: Int) -> [[Int]] {
    guard let capacity, case .topK(let k, _) = rule else { return chosen }
    let limit = Int((capacity * Double(k * chosen.count) / Double(experts)).rounded(.up))
    var taken = [Int](repeating: 0, count: experts)
    return chosen.map { row in
      row.filter { e in
        taken[e] += 1
        return taken[e] <= limit
      }
    }
  }
}

/// A loss that only the gate has: its value by row, and its gradient by the scores, before the mean over rows.
struct ReferenceGateLoss {
  var losses: [Double]
  /// [row][E]
  var gradients: [[Double]]

  /// Σ_e |g_e − ln y_e,label|.
  init(scores: [[Double]], logLikelihoods: [[Double]]) {
    let differences = zip(scores, logLikelihoods).map { zip($0, $1).map { $0 - $1 } }
    losses = differences.map { $0.reduce(0) { $0 + abs($1) } }
    gradients = differences.map { $0.map { $0 > 0 ? 1 : $0 < 0 ? -1 : 0 } }
  }

  /// KL(p_teacher ‖ p_student), both softmax(scores/T).
  init(teacher: [[Double]], student: [[Double]], temperature: Double) {
    let known = teacher.map { logSoftmax($0.map { $0 / temperature }) }
    let learned = student.map { logSoftmax($0.map { $0 / temperature }) }
    losses = zip(known, learned).map { zip($0, $1).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) } }
    gradients = zip(known, learned).map { zip($0, $1).map { (exp($1) - exp($0)) / temperature } }
  }
}
