import Glibc
import Numerics

/// Mixture layers inside a deeper network, trunk → layers → head, as one formula: the mean cross-entropy of the labels and
/// the losses of every gate's choice.
struct ReferenceDeepModel {
  /// Σ_e w_e·o_e over the chosen experts (Shazeer et al. 2017, equation 1), with w of p = softmax(s/T).
  struct Mixture {
    /// nil: one expert without a gate.
    var gate: ReferenceLayers?
    var experts: [ReferenceLayers]
    /// The expectation, or the k best with p as it is (full) or as a softmax over them.
    var rule = ReferenceRule.expectation
    /// T
    var temperature = 1.0
    /// Weights of the losses of the gate's choice.
    var importance = 0.0
    var zLoss = 0.0
    var loadBalance = 0.0
    /// Added to the scores before they choose and weigh, [row][E]; nil: nothing.
    var noise: [[Double]]?
    /// Whether its rows are added to what it gives.
    var isResidual: Bool
  }

  var trunk: ReferenceLayers
  var mixtures: [Mixture]
  var head: ReferenceLayers
  var tensors: Tensors

  struct Findings {
    /// The mean cross-entropy.
    var entropy = 0.0
    /// Of every mixture, without their weights: importance, z-loss, load balance; 0 where the weight is.
    var importance: [Double] = []
    var zLoss: [Double] = []
    var loadBalance: [Double] = []
    /// [layer][row] the experts whose answers count.
    var chosen: [[[Int]]] = []
    /// [layer][row][expert] p.
    var probabilities: [[[Double]]] = []
    /// What is minimised.
    var loss = 0.0
  }

  /// - Parameter chosen: [layer][row] experts that were chosen before; nil: they are chosen here.
  func run(_ images: [[Double]], _ labels: [Int], chosen: [[[Int]]]?) -> Findings {
    var findings = Findings()
    var rows = trunk.forward(images, tensors).outputs
    for (index, mixture) in mixtures.enumerated() {
      rows = run(mixture, rows, chosen: chosen?[index], &findings)
    }
    let logits = head.forward(rows, tensors).outputs
    let total = zip(logits, labels).reduce(0) { $0 - logSoftmax($1.0)[$1.1] }
    findings.entropy = total / Double(labels.count)
    findings.loss += findings.entropy
    return findings
  }

  private func run(
    _ mixture: Mixture, _ rows: [[Double]], chosen: [[Int]]?, _ findings: inout Findings
  ) -> [[Double]] {
    let clean = mixture.gate?.forward(rows, tensors).outputs ?? rows.map { _ in [0] }
    let noise = mixture.noise ?? clean.map { $0.map { _ in 0 } }
    let scaled = zip(clean, noise).map { zip($0, $1).map { ($0 + $1) / mixture.temperature } }
    let p = scaled.map { logSoftmax($0).map { exp($0) } }
    let selected = chosen ?? scaled.map(mixture.rule.selected)
    findings.chosen.append(selected)
    findings.probabilities.append(p)

    let width = mixture.experts[0].output.pixels
    var result = mixture.isResidual ? rows : rows.map { _ in Array(repeating: 0, count: width) }
    for (e, expert) in mixture.experts.enumerated() {
      let own = rows.indices.filter { selected[$0].contains(e) }
      let answers = expert.forward(own.map { rows[$0] }, tensors).outputs
      for (row, answer) in zip(own, answers) {
        var weight = p[row][e]
        if case .topK(_, full: false) = mixture.rule {
          weight /= selected[row].reduce(0) { $0 + p[row][$1] }
        }
        for f in answer.indices { result[row][f] += weight * answer[f] }
      }
    }

    let importance = mixture.importance == 0 ? 0 : referenceImportance(p).loss
    let zLoss = mixture.zLoss == 0 ? 0 : referenceZLoss(clean).loss
    let balance = mixture.loadBalance == 0 ? 0 : referenceLoadBalance(p, chosen: selected).loss
    findings.importance.append(importance)
    findings.zLoss.append(zLoss)
    findings.loadBalance.append(balance)
    findings.loss +=
      mixture.importance * importance + mixture.zLoss * zLoss + mixture.loadBalance * balance
    return result
  }
}
