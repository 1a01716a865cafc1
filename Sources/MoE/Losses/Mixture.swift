internal import CLanes

/// How a row's experts become the model's output and loss.
package struct MixtureRule: Equatable, Sendable {
  package enum Weights: Equatable, Sendable {
    /// p of the full softmax; the mass of experts that did not run predicts nothing (1/C per class).
    case full
    /// A softmax over the selected logits.
    case renormalised
  }

  package let experts: Int
  package let classes: Int
  package let temperature: Float
  package let weights: Weights
  /// The loss of Jacobs et al. 1991, −ln Σ_e p_e exp(−½ CE_e); predictions are the arg-max expert's.
  package let jacobs: Bool

  package init(experts: Int, classes: Int, temperature: Float, weights: Weights, jacobs: Bool) {
    self.experts = experts
    self.classes = classes
    self.temperature = temperature
    self.weights = weights
    self.jacobs = jacobs
  }
}

/// What the mixture reports per row, behind the gate's gradient rows in the message to rank 0.
package enum RowReport: Int, CaseIterable {
  /// The row's loss, −ln m_label for the mixture.
  case loss
  /// The model's class; ties to the lowest.
  case prediction
  /// The model's probability of that class.
  case confidence
  /// The class that the arg-max expert itself predicts.
  case chosenClass
  /// How many classes come before the label.
  case labelRank
}

/// Mixture, loss and gradients of the rows of one shard, in log space and by per-row arithmetic alone.
///
/// With r_e = p_e y_e,label / m_label: ∂L/∂g_e = (p_e − r_e)/(T·B), ∂L/∂ln y_e,label = −r_e/B.
/// - Parameters:
///   - logits: [experts][rows], of the gate.
///   - answers: [slots · classes][rows], ln y per slot.
///   - table: the experts of the slots; nil where slot = expert.
///   - labels: one per row.
///   - batchRows: B, the global number of rows.
///   - report: [experts + reports][rows]: the logits' gradient, then ``RowReport``.
///   - answerGradients: like `answers`; nil in evaluation.
package func mixture(
  _ rule: MixtureRule, logits: FeatureMap, answers: FeatureMap, table: SlotTable?, labels: [UInt8],
  batchRows: Int, report: FeatureMap, answerGradients: FeatureMap?, in workspace: Workspace
) {
  let mark = workspace.mark
  defer { workspace.release(to: mark) }
  var lanes = MixtureLanes(rule, slots: table?.slots ?? rule.experts, in: workspace)
  answerGradients?.clear()
  var column = 0
  while column < logits.rows {
    let count = min(laneCount, logits.rows - column)
    lanes.load(logits: logits, answers: answers, table: table, labels: labels, column: column, count: count)
    let likelihood = lanes.likelihood()
    lanes_store(report[rule.experts + RowReport.loss.rawValue] + column, -likelihood)
    if let answerGradients {
      lanes.gradients(
        likelihood, batchRows: batchRows, table: table, labels: labels, column: column, count: count,
        logits: report, answers: answerGradients)
    }
    lanes.predict(
      logits: logits, answers: answers, table: table, labels: labels, column: column, count: count,
      report: report)
    column += laneCount
  }
}

/// Sixteen rows of the mixture.
private struct MixtureLanes {
  let rule: MixtureRule
  let slots: Int
  /// ln p per expert.
  let logP: Floats
  /// ln p per expert that was not selected, −∞ for the others.
  let unselected: Floats
  /// Per slot: ln of its weight.
  let slotWeight: Floats
  /// Per slot: ln weight + ln y_label.
  let joint: Floats
  /// Per class: the model's probability.
  let classes: Floats
  /// ln of the probability of each class that the experts that did not run contribute; −∞ without.
  var remainder: SIMD16<Float>

  init(_ rule: MixtureRule, slots: Int, in workspace: Workspace) {
    self.rule = rule
    self.slots = slots
    logP = workspace.floats(rule.experts * laneCount)
    unselected = workspace.floats(rule.experts * laneCount)
    slotWeight = workspace.floats(slots * laneCount)
    joint = workspace.floats(slots * laneCount)
    classes = workspace.floats(rule.classes * laneCount)
    remainder = lanes_splat(-.infinity)
  }

  /// Reads gate and answers of sixteen rows and computes the weights of the slots.
  mutating func load(
    logits: FeatureMap, answers: FeatureMap, table: SlotTable?, labels: [UInt8], column: Int, count: Int
  ) {
    let scale = lanes_splat(1 / rule.temperature)
    for e in 0..<rule.experts { lanes_store(logP + e * laneCount, lanes_load(logits[e] + column) * scale) }
    let normaliser = logSumExp(logP, rule.experts)
    for e in 0..<rule.experts {
      lanes_store(logP + e * laneCount, lanes_load(logP + e * laneCount) - normaliser)
    }
    remainder = lanes_splat(-.infinity)
    if let table {
      select(table, column: column, count: count)
    } else {
      slotWeight.update(from: logP, count: slots * laneCount)
    }
    let half = rule.jacobs ? Float(0.5) : 1
    for slot in 0..<slots {
      for lane in 0..<laneCount {
        let label = lane < count ? Int(labels[column + lane]) : 0
        let answer = answers.base[(slot * rule.classes + label) * answers.stride + column + lane]
        joint[slot * laneCount + lane] =
          lane < count ? slotWeight[slot * laneCount + lane] + half * answer : 0
      }
    }
  }

  private mutating func select(_ table: SlotTable, column: Int, count: Int) {
    unselected.update(from: logP, count: rule.experts * laneCount)
    for slot in 0..<slots {
      for lane in 0..<laneCount {
        let expert = lane < count ? table[column + lane, slot] : slot
        slotWeight[slot * laneCount + lane] = logP[expert * laneCount + lane]
        unselected[expert * laneCount + lane] = -.infinity
      }
    }
    switch rule.weights {
    case .renormalised:
      let normaliser = logSumExp(slotWeight, slots)
      for slot in 0..<slots {
        let place = slotWeight + slot * laneCount
        lanes_store(place, lanes_load(place) - normaliser)
      }
    case .full where slots < rule.experts:
      remainder = logSumExp(unselected, rule.experts) - lanes_log(lanes_splat(Float(rule.classes)))
    case .full:
      break
    }
  }

  /// ln m_label of every row.
  func likelihood() -> SIMD16<Float> {
    var largest = remainder
    for slot in 0..<slots { largest = lanes_max(lanes_load(joint + slot * laneCount), largest) }
    var sum = lanes_exp(remainder - largest)
    for slot in 0..<slots { sum += lanes_exp(lanes_load(joint + slot * laneCount) - largest) }
    return largest + lanes_log(sum)
  }

  func gradients(
    _ likelihood: SIMD16<Float>, batchRows: Int, table: SlotTable?, labels: [UInt8], column: Int, count: Int,
    logits report: FeatureMap, answers: FeatureMap
  ) {
    let rowShare = 1 / Float(batchRows)
    let gateShare = lanes_splat(rowShare / rule.temperature)
    let answerShare = rule.jacobs ? rowShare * 0.5 : rowShare
    let dense = table == nil
    let remainderOfExpert = lanes_log(lanes_splat(Float(rule.classes))) + likelihood
    for e in 0..<rule.experts {
      let p = lanes_exp(lanes_load(logP + e * laneCount))
      let responsibility: SIMD16<Float>
      if dense {
        responsibility = lanes_exp(lanes_load(joint + e * laneCount) - likelihood)
      } else if rule.weights == .full {
        responsibility = lanes_exp(lanes_load(unselected + e * laneCount) - remainderOfExpert)
      } else {
        responsibility = p
      }
      lanes_store(report[e] + column, (p - responsibility) * gateShare)
    }
    for slot in 0..<slots {
      let responsibility = lanes_exp(lanes_load(joint + slot * laneCount) - likelihood)
      let weight = lanes_exp(lanes_load(slotWeight + slot * laneCount))
      for lane in 0..<count {
        let label = Int(labels[column + lane])
        answers.base[(slot * rule.classes + label) * answers.stride + column + lane] =
          -responsibility[lane] * answerShare
        guard let table else { continue }
        let place = report[table[column + lane, slot]] + column + lane
        switch rule.weights {
        case .full: place.pointee -= responsibility[lane] * gateShare[lane]
        case .renormalised: place.pointee = (weight[lane] - responsibility[lane]) * gateShare[lane]
        }
      }
    }
  }

  /// The model's class, its probability, the label's rank, and the arg-max expert's own class.
  func predict(
    logits: FeatureMap, answers: FeatureMap, table: SlotTable?, labels: [UInt8], column: Int, count: Int,
    report: FeatureMap
  ) {
    let rest = lanes_exp(remainder)
    for c in 0..<rule.classes {
      var probability = rest
      for slot in 0..<slots {
        let answer = lanes_load(answers[slot * rule.classes + c] + column)
        probability += lanes_exp(lanes_load(slotWeight + slot * laneCount) + answer)
      }
      lanes_store(classes + c * laneCount, probability)
    }
    for lane in 0..<count {
      let row = column + lane
      let chosenSlot = chosenSlot(logits, table, row: row)
      @inline(__always) func chosenAnswer(_ c: Int) -> Float {
        answers.base[(chosenSlot * rule.classes + c) * answers.stride + row]
      }
      if rule.jacobs {
        for c in 0..<rule.classes {
          classes[c * laneCount + lane] = lanes_exp(lanes_splat(chosenAnswer(c)))[0]
        }
      }
      var best = 0
      var chosen = 0
      for c in 1..<max(rule.classes, 1) {
        if classes[c * laneCount + lane] > classes[best * laneCount + lane] { best = c }
        if chosenAnswer(c) > chosenAnswer(chosen) { chosen = c }
      }
      let label = Int(labels[row])
      let labelProbability = classes[label * laneCount + lane]
      var rank = 0
      for c in 0..<rule.classes {
        let probability = classes[c * laneCount + lane]
        if probability > labelProbability || (probability == labelProbability && c < label) { rank += 1 }
      }
      func write(_ item: RowReport, _ value: Float) { report[rule.experts + item.rawValue][row] = value }
      write(.prediction, Float(best))
      write(.confidence, classes[best * laneCount + lane])
      write(.chosenClass, Float(chosen))
      write(.labelRank, Float(rank))
    }
  }

  /// The slot of the expert with the largest logit; ties to the lowest expert.
  private func chosenSlot(_ logits: FeatureMap, _ table: SlotTable?, row: Int) -> Int {
    var best = 0
    func value(_ slot: Int) -> Float { logits[table.map { $0[row, slot] } ?? slot][row] }
    for slot in 1..<max(slots, 1) where value(slot) > value(best) { best = slot }
    return best
  }

  private func logSumExp(_ values: Floats, _ count: Int) -> SIMD16<Float> {
    var largest = lanes_load(values)
    for i in 1..<max(count, 1) { largest = lanes_max(lanes_load(values + i * laneCount), largest) }
    var sum = lanes_splat(0)
    for i in 0..<count { sum += lanes_exp(lanes_load(values + i * laneCount) - largest) }
    return largest + lanes_log(sum)
  }
}
