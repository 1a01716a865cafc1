import Glibc

/// How the experts' answers become the model's, and what training minimises (arXiv 2302.14703, section 3).
enum ReferenceRule: Equatable {
  /// One expert without a gate.
  case single
  case expectation
  /// Jacobs et al. 1991; evaluation asks the arg-max expert alone.
  case stochastic
  /// k experts run. full: the mass of the others predicts every class alike; otherwise a softmax over the k logits.
  case topK(Int, full: Bool)

  /// The experts that run on a row, ascending. Equal logits go to the lowest expert.
  func selected(_ gateLogits: [Double]) -> [Int] {
    guard case .topK(let k, _) = self else { return Array(gateLogits.indices) }
    let byLogit = gateLogits.indices.sorted { (-gateLogits[$0], $0) < (-gateLogits[$1], $1) }
    return byLogit.prefix(k).sorted()
  }
}

/// The loss of one row and its gradient.
struct ReferenceRowLoss {
  var loss: Double
  /// By the gate's logits, before the temperature; empty without a gate.
  var gateGradient: [Double]
  /// By the logits of each selected expert.
  var expertGradients: [[Double]]
  /// ln m: the model's answer, in log space.
  var logMixture: [Double]

  /// - Parameters:
  ///   - gateLogits: [E]; empty without a gate.
  ///   - selected: the experts that ran.
  ///   - answers: ln y of each of them, [selected][class].
  ///   - classes: C. Without an expert a row predicts 1/C, whatever its gate says.
  init(
    rule: ReferenceRule, temperature: Double, gateLogits: [Double], selected: [Int], answers: [[Double]],
    label: Int, classes: Int
  ) {
    guard rule != .single else {
      logMixture = answers[0]
      loss = -answers[0][label]
      gateGradient = []
      expertGradients = [(0..<classes).map { exp(answers[0][$0]) - ($0 == label ? 1 : 0) }]
      return
    }

    guard !selected.isEmpty else {
      logMixture = Array(repeating: -log(Double(classes)), count: classes)
      loss = log(Double(classes))
      gateGradient = gateLogits.map { _ in 0 }
      expertGradients = []
      return
    }

    // ln p over all experts, or over the selected ones alone (the others are then −∞ and get no gradient).
    let scaled = gateLogits.map { $0 / temperature }
    var logP = logSoftmax(scaled)
    if case .topK(_, full: false) = rule {
      logP = scaled.indices.map { selected.contains($0) ? scaled[$0] : -.infinity }
      logP = logSoftmax(logP)
    }
    let unselected = gateLogits.indices.filter { !selected.contains($0) }
    var remainder = -Double.infinity
    if case .topK(_, full: true) = rule { remainder = logSumExp(unselected.map { logP[$0] }) }

    /// ln Σ_e p_e y_e^power + ln(remainder / C), and how much of the sum each term is.
    func mixture(_ label: Int, power: Double) -> (sum: Double, ofSelected: [Double], ofRemainder: Double) {
      let terms = zip(selected, answers).map { logP[$0] + power * $1[label] }
      let uniform = remainder - log(Double(classes))
      let sum = logSumExp(terms + [uniform])
      return (sum, terms.map { exp($0 - sum) }, exp(uniform - sum))
    }

    let power = rule == .stochastic ? 0.5 : 1
    let (sum, responsibilities, ofRemainder) = mixture(label, power: power)
    loss = -sum

    // ∂loss/∂ln p: minus the share of each term; the remainder's is divided as its mass is.
    var ofLogP = [Double](repeating: 0, count: gateLogits.count)
    for (e, share) in zip(selected, responsibilities) { ofLogP[e] = -share }
    if remainder > -.infinity {
      for e in unselected { ofLogP[e] = -ofRemainder * exp(logP[e] - remainder) }
    }
    let total = ofLogP.reduce(0, +)
    gateGradient = ofLogP.indices.map { (ofLogP[$0] - exp(logP[$0]) * total) / temperature }
    expertGradients = zip(responsibilities, answers).map { share, answer in
      (0..<classes).map { power * share * (exp(answer[$0]) - ($0 == label ? 1 : 0)) }
    }

    if rule == .stochastic {
      let best = gateLogits.indices.max { (gateLogits[$0], -$0) < (gateLogits[$1], -$1) }!
      logMixture = answers[best]
    } else {
      logMixture = (0..<classes).map { mixture($0, power: 1).sum }
    }
  }
}

/// ln Σ exp x; −∞ of nothing.
func logSumExp(_ x: [Double]) -> Double {
  guard let largest = x.max(), largest > -.infinity else { return -.infinity }
  return largest + log(x.reduce(0) { $0 + exp($1 - largest) })
}

func logSoftmax(_ x: [Double]) -> [Double] {
  let sum = logSumExp(x)
  return x.map { $0 - sum }
}
