import Glibc

/// What a training step computed.
struct ReferenceStep {
  /// By row, what training reports; without regularisers.
  var losses: [Double]
  /// What trains the gate, and what trains the experts: means over the rows, regularisers in the gate's. The same
  /// number where one loss trains both, which then holds the regularisers too.
  var gateLoss: Double
  var expertLoss: Double
  /// What the losses of the gate's choice add.
  var regularisers: Double
  /// Of those losses, for every tensor that is trained; zero for an expert without rows.
  var gradients: Tensors = [:]
  /// Running statistics after the step.
  var statistics: Tensors = [:]
  /// [row][E]; empty rows for the single model.
  var scores: [[Double]]
  /// softmax(scores/T), [row][E].
  var probabilities: [[Double]]
  /// The experts of each row's mixture, ascending.
  var selected: [[Int]]
  /// ln m of the model as it would be asked for an answer (stochastic: of the arg-max expert), [row][class].
  var logMixture: [[Double]]

  /// Mean over the rows of what training reports, with regularisers.
  var loss: Double { losses.reduce(0, +) / Double(losses.count) + regularisers }
}

extension ReferenceModel {
  /// The step of a softmax gate, or of the single model, with the mixture's loss alone.
  func step(
    _ images: [[Double]], _ labels: [Int], rule: ReferenceRule, temperature: Double = 1, training: Bool = true
  ) -> ReferenceStep {
    step(images, labels, ReferenceMethod(rule: rule, temperature: temperature), training: training)
  }

  /// Forward and backward over one batch; changes nothing.
  ///
  /// - Parameters:
  ///   - images: normalised pixels by row.
  ///   - training: false for evaluation mode, which has no gradients and takes BatchNorm's running statistics.
  func step(
    _ images: [[Double]], _ labels: [Int], _ method: ReferenceMethod, training: Bool = true
  ) -> ReferenceStep {
    let pass = ReferencePass(self, images, labels, method, training: training)
    let count = Double(images.count)
    let rule = method.appliedRule
    func rowLosses(_ temperature: Double) -> [ReferenceRowLoss] {
      images.indices.map { row in
        ReferenceRowLoss(
          rule: rule, temperature: temperature, gateLogits: pass.scores[row], selected: pass.selected[row],
          answers: pass.selected[row].map { pass.answers[row][$0]! }, label: labels[row],
          classes: experts[0].outputs)
      }
    }
    let rows = rowLosses(method.temperature)
    let expertRows = method.expertTemperature.map(rowLosses) ?? rows

    // The gate's own loss where it has one, otherwise the mixture's at the gate's temperature.
    let own = pass.ownGateLoss(labels)
    let p = pass.scores.map { logSoftmax($0.map { $0 / method.temperature }).map { exp($0) } }
    let regularised = regularisers(p, images, pass, method)
    var ofGate = (own?.gradients ?? rows.map(\.gateGradient)).map { $0.map { $0 / count } }
    for row in ofGate.indices where !ofGate[row].isEmpty {
      ofGate[row] = zip(ofGate[row], regularised.gradient[row]).map { $0 + $1 }
    }
    let oneLoss = method.gate != .loss && method.expertTemperature == nil
    let ofExperts = oneLoss ? ofGate : expertRows.map { $0.gateGradient.map { $0 / count } }

    func mean(_ values: [Double]) -> Double { values.reduce(0, +) / count }
    let gateLoss = mean(own?.losses ?? rows.map(\.loss)) + regularised.loss
    var losses = own?.losses ?? rows.map(\.loss)
    if method.gate == .loss, training { losses = zip(losses, rows).map { $0 + $1.loss } }
    var result = ReferenceStep(
      losses: losses, gateLoss: gateLoss, expertLoss: oneLoss ? gateLoss : mean(expertRows.map(\.loss)),
      regularisers: regularised.loss, statistics: pass.statistics, scores: pass.scores, probabilities: p,
      selected: pass.selected, logMixture: rows.map(\.logMixture))
    guard training else { return result }
    let ofAnswers = images.indices.map { row in
      Dictionary(
        uniqueKeysWithValues: zip(
          pass.selected[row], expertRows[row].expertGradients.map { $0.map { $0 / count } }))
    }
    result.gradients = pass.backward(ofGate: ofGate, ofExperts: ofExperts, ofAnswers: ofAnswers)
    return result
  }

  /// The losses of the gate's choice and their gradient by the scores, ∂L/∂s = p∘(∂L/∂p − ⟨p, ∂L/∂p⟩)/T of those by p.
  private func regularisers(
    _ p: [[Double]], _ images: [[Double]], _ pass: ReferencePass, _ method: ReferenceMethod
  ) -> (loss: Double, gradient: [[Double]]) {
    var loss = 0.0
    var ofP = p.map { $0.map { _ in 0.0 } }
    if method.importance != 0 {
      let found = referenceImportance(p)
      loss += method.importance * found.loss
      ofP = zip(ofP, found.gradient).map { zip($0, $1).map { $0 + method.importance * $1 } }
    }
    if let found = method.similarity?.loss(p, images) {
      loss += found.loss
      ofP = zip(ofP, found.gradient).map { zip($0, $1).map { $0 + $1 } }
    }
    if method.loadBalance != 0 {
      let found = referenceLoadBalance(p, chosen: pass.chosen)
      loss += method.loadBalance * found.loss
      ofP = zip(ofP, found.gradient).map { zip($0, $1).map { $0 + method.loadBalance * $1 } }
    }
    var gradient = zip(p, ofP).map { p, g in
      let mean = dot(p, g)
      return zip(p, g).map { $0 * ($1 - mean) / method.temperature }
    }
    if method.zLoss != 0 {
      let found = referenceZLoss(pass.cleanScores)
      loss += method.zLoss * found.loss
      gradient = zip(gradient, found.gradient).map { zip($0, $1).map { $0 + method.zLoss * $1 } }
    }
    return (loss, gradient)
  }
}
