package import KernelInterface
package import Networks
internal import Numerics

/// A plain gate that learns the probabilities of an attentive one (arXiv 2302.14703, section 4.2, with the teacher in the
/// loss): the loss is mean_x KL(p_teacher ‖ p_student), the experts are the teacher's and frozen.
///
/// The teacher's q̃ travels behind the student's logits, and the shard scores it against the experts' hidden values.
package struct DistillationGateDesign: GateDesign {
  package init() {}

  private let student = SoftmaxGateDesign()

  package func size(_ request: GateRequest) -> GateSize { student.size(request) }
  package func makeGate(_ request: GateRequest) -> (any Gate)? { DistillationGate(request) }

  package func makeScorer(_ request: GateRequest, training: Bool) -> any Scorer {
    training
      ? DistillationScorer(experts: request.experts, width: request.family.hiddenWidths.gate)
      : student.makeScorer(request, training: training)
  }

  package func objection(to family: any NetworkFamily) -> String? {
    AttentiveGateDesign().objection(to: family)
  }
}

package final class DistillationGate: Gate {
  private let student: SoftmaxGate
  /// In evaluation mode always; its tensors are those of the run that is distilled and belong to no checkpoint.
  package let teacher: AttentiveGate
  private let experts: Int

  package var parameters: [Parameters] { student.parameters }
  package var work: ModuleWork {
    get {
      var sum = student.work
      sum.forwardFlops += teacher.work.forwardFlops
      return sum
    }
    set {
      student.work = newValue
      teacher.work = ModuleWork()
    }
  }

  init(_ request: GateRequest) {
    experts = request.experts
    student = SoftmaxGate(request)
    var untrained = request
    untrained.training = false
    teacher = AttentiveGate(untrained)
  }

  package func forward(_ blocks: [RowBlock], mode: NetworkMode, into message: FeatureMap) throws {
    try student.forward(blocks, mode: mode, into: message)
    guard message.features > experts else { return }
    let rest = FeatureMap(
      base: message[experts], features: message.features - experts, rows: message.rows)
    try teacher.forward(blocks, mode: .evaluation, into: rest)
  }

  package func backward(_ gradient: FeatureMap, rows: FeatureMap?) throws {
    try student.backward(gradient, rows: rows)
  }
}

struct DistillationScorer: Scorer {
  let experts: Int
  let width: Int
  private var teacher: AttentionScorer { AttentionScorer(width: width, first: experts) }

  var messageFeatures: Int { experts + width }
  var gradientFeatures: Int { experts }
  var hiddenFeatures: Int { width }
  var reasonForAll: String? {
    "the teacher's keys need every expert; the result will not"
  }

  func score(_ rows: ShardRows, into scores: FeatureMap) {
    MessageScorer(messageFeatures: experts).score(rows, into: scores)
  }

  /// ∂KL/∂g_e = (p_student − p_teacher)/(T·B); the row's loss becomes KL(p_teacher ‖ p_student).
  func backward(_ rows: ShardRows, _ gradients: ScoreGradients, into result: ScorerGradients) {
    let scale = 1 / gradients.temperature
    let columns = result.message.columns
    withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * experts * (columns + laneCount)) { buffer in
      guard let base = buffer.baseAddress else { return }
      let known = FeatureMap(base: base, features: experts, rows: rows.message.rows)
      let learned = FeatureMap(
        base: base + experts * (columns + laneCount), features: experts, rows: rows.message.rows)
      teacher.score(rows, into: known)
      kernels.logSoftmax(known, scale: scale, into: known)
      let logits = FeatureMap(base: rows.message.base, features: experts, rows: rows.message.rows)
      kernels.logSoftmax(logits, scale: scale, into: learned)
      kernels.divergence(
        known: known, learned: learned, share: scale / Float(gradients.batchRows), gradient: result.message,
        losses: result.losses)
    }
  }
}
