internal import CLanes
internal import KernelInterface

/// Sixteen rows of the mixture.
struct MixtureLanes {
  private let rule: MixtureRule
  private let slots: Int
  private var column = 0
  /// Rows among the sixteen lanes.
  private var count = 0
  /// ln p per expert.
  private let logP: Floats
  /// ln p per expert that was not selected, −∞ for the others.
  private let unselected: Floats
  /// Per slot: ln of its weight.
  private let slotWeight: Floats
  /// Per slot: ln weight + ln y_label.
  private let joint: Floats
  /// Per class: the model's probability.
  private let classes: Floats
  /// ln of the probability of each class that the experts that are in no slot contribute; −∞ without.
  private var remainder: SIMD16<Float>
  /// A bit per lane whose row has no expert.
  private var abandoned: UInt32 = 0

  /// - Parameter memory: ``MixtureRule/laneFloats(slots:)`` floats.
  init(_ rule: MixtureRule, slots: Int, memory: Floats) {
    self.rule = rule
    self.slots = slots
    logP = memory
    unselected = logP + rule.experts &* laneCount
    slotWeight = unselected + rule.experts &* laneCount
    joint = slotWeight + slots &* laneCount
    classes = joint + slots &* laneCount
    remainder = lanes_splat(-.infinity)
  }

  @inline(__always)
  private func isAbandoned(_ lane: Int) -> Bool { abandoned >> UInt32(lane) & 1 == 1 }

  /// The slot of the answers that holds a slot's expert, in one row; negative where the slot is empty.
  @inline(__always)
  private func answerSlot(_ input: MixtureInput, _ slot: Int, row: Int) -> Int {
    guard let table = input.table else { return slot }
    let expert = Int(table[row &* slots &+ slot])
    return rule.everyExpertAnswers || expert < 0 ? expert : slot
  }

  /// ln y of a class in a slot, of sixteen rows.
  @inline(__always)
  private func answer(_ input: MixtureInput, _ slot: Int, class c: Int) -> SIMD16<Float> {
    guard rule.everyExpertAnswers, let table = input.table else {
      return lanes_load(input.answers[rule.layout.feature(slot: slot, class: c)] + column)
    }
    var values = lanes_splat(0)
    for lane in 0..<count {
      let expert = Int(table[(column &+ lane) &* slots &+ slot])
      guard expert >= 0 else { continue }
      values[lane] = input.answers[rule.layout.feature(slot: expert, class: c)][column + lane]
    }
    return values
  }

  /// Reads scores and answers of sixteen rows and computes the weights of the slots.
  mutating func load(_ input: MixtureInput, column: Int) {
    self.column = column
    count = min(laneCount, input.scores.rows - column)
    let scale = lanes_splat(1 / rule.temperature)
    for e in 0..<rule.experts {
      lanes_store(logP + e * laneCount, lanes_load(input.scores[e] + column) * scale)
    }
    let normaliser = logSumExp(logP, rule.experts)
    for e in 0..<rule.experts {
      lanes_store(logP + e * laneCount, lanes_load(logP + e * laneCount) - normaliser)
    }
    remainder = lanes_splat(-.infinity)
    abandoned = 0
    if let table = input.table {
      select(table)
    } else {
      for i in 0..<slots &* laneCount { slotWeight[i] = logP[i] }
    }
    let half = rule.jacobs ? Float(0.5) : 1
    for slot in 0..<slots {
      for lane in 0..<laneCount {
        guard lane < count else {
          joint[slot * laneCount + lane] = 0
          continue
        }
        let place = answerSlot(input, slot, row: column + lane)
        guard place >= 0 else {
          joint[slot * laneCount + lane] = -.infinity
          continue
        }
        let feature = rule.layout.feature(slot: place, class: Int(input.labels[column + lane]))
        joint[slot * laneCount + lane] =
          slotWeight[slot * laneCount + lane] + half
          * input.answers.base[feature * input.answers.stride + column + lane]
      }
    }
  }

  private mutating func select(_ table: UnsafePointer<Int32>) {
    for i in 0..<rule.experts &* laneCount { unselected[i] = logP[i] }
    var filled = SIMD16<Int32>(repeating: 0)
    for slot in 0..<slots {
      for lane in 0..<laneCount {
        let expert = lane < count ? Int(table[(column &+ lane) &* slots &+ slot]) : slot
        guard expert >= 0 else {
          slotWeight[slot * laneCount + lane] = -.infinity
          continue
        }
        filled[lane] &+= 1
        slotWeight[slot * laneCount + lane] = logP[expert * laneCount + lane]
        unselected[expert * laneCount + lane] = -.infinity
      }
    }
    switch rule.weights {
    case .renormalised:
      var normaliser = logSumExp(slotWeight, slots)
      // Of nothing: no number, and not needed.
      for lane in 0..<laneCount where filled[lane] == 0 { normaliser[lane] = 0 }
      for slot in 0..<slots {
        let place = slotWeight + slot * laneCount
        lanes_store(place, lanes_load(place) - normaliser)
      }
    case .full where slots < rule.experts:
      remainder = logSumExp(unselected, rule.experts) - logClasses
    case .full:
      let rest = logSumExp(unselected, rule.experts) - logClasses
      for lane in 0..<laneCount where Int(filled[lane]) < slots { remainder[lane] = rest[lane] }
    }
    for lane in 0..<laneCount where filled[lane] == 0 {
      remainder[lane] = -logClasses[lane]
      abandoned |= 1 << UInt32(lane)
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
    _ likelihood: SIMD16<Float>, _ input: MixtureInput, scores: FeatureMap, answers: FeatureMap?
  ) {
    let rowShare = 1 / Float(input.batchRows)
    let gateShare = lanes_splat(rowShare / rule.temperature)
    let answerShare = rule.jacobs ? rowShare * 0.5 : rowShare
    let dense = input.table == nil
    let remainderOfExpert = logClasses + likelihood
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
      lanes_store(scores[e] + column, (p - responsibility) * gateShare)
    }
    // Whatever the gate says of such a row, it predicts the same.
    for lane in 0..<count where isAbandoned(lane) {
      for e in 0..<rule.experts { scores[e][column + lane] = 0 }
    }
    for slot in 0..<slots {
      let responsibility = lanes_exp(lanes_load(joint + slot * laneCount) - likelihood)
      let weight = lanes_exp(lanes_load(slotWeight + slot * laneCount))
      for lane in 0..<count {
        let row = column + lane
        let answerSlot = answerSlot(input, slot, row: row)
        guard answerSlot >= 0 else { continue }
        if let answers {
          let feature = rule.layout.feature(slot: answerSlot, class: Int(input.labels[row]))
          answers.base[feature * answers.stride + row] = -responsibility[lane] * answerShare
        }
        guard let table = input.table else { continue }
        let place = scores[Int(table[row &* slots &+ slot])] + row
        switch rule.weights {
        case .full: place.pointee -= responsibility[lane] * gateShare[lane]
        case .renormalised: place.pointee = (weight[lane] - responsibility[lane]) * gateShare[lane]
        }
      }
    }
  }

  /// The model's class, its probability, the label's, its rank, and the arg-max expert's own class.
  func predict(_ input: MixtureInput, report: FeatureMap) {
    let rest = lanes_exp(remainder)
    for c in 0..<rule.classes {
      var probability = rest
      for slot in 0..<slots {
        probability += lanes_exp(
          lanes_load(slotWeight + slot * laneCount) + answer(input, slot, class: c))
      }
      lanes_store(classes + c * laneCount, probability)
    }
    for lane in 0..<count {
      let row = column + lane
      let chosenSlot = answerSlot(input, chosenSlot(input, row: row), row: row)
      @inline(__always) func chosenAnswer(_ c: Int) -> Float {
        input.answers.base[rule.layout.feature(slot: chosenSlot, class: c) * input.answers.stride + row]
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
        if chosenSlot >= 0, chosenAnswer(c) > chosenAnswer(chosen) { chosen = c }
      }
      let label = Int(input.labels[row])
      let labelProbability = classes[label * laneCount + lane]
      var rank = 0
      for c in 0..<rule.classes {
        let probability = classes[c * laneCount + lane]
        if probability > labelProbability || (probability == labelProbability && c < label) { rank += 1 }
      }
      func write(_ item: RowReport, _ value: Float) { report[item.rawValue][row] = value }
      write(.crossEntropy, rule.jacobs ? -chosenAnswer(label) : report[RowReport.loss.rawValue][row])
      write(.prediction, Float(best))
      write(.confidence, classes[best * laneCount + lane])
      write(.chosenClass, Float(chosen))
      write(.labelRank, Float(rank))
    }
  }

  /// Writes the model's probability of every class, which ``predict(_:report:)`` has made.
  func write(into distribution: FeatureMap) {
    for c in 0..<rule.classes { lanes_store(distribution[c] + column, lanes_load(classes + c * laneCount)) }
  }

  /// The slot of the expert with the largest score; ties to the lowest expert. An empty one where all are.
  private func chosenSlot(_ input: MixtureInput, row: Int) -> Int {
    var best = 0
    func value(_ slot: Int) -> Float {
      let expert = input.table.map { Int($0[row &* slots &+ slot]) } ?? slot
      return expert < 0 ? -.infinity : input.scores[expert][row]
    }
    for slot in 1..<max(slots, 1) where value(slot) > value(best) { best = slot }
    return best
  }

  /// ln C
  private var logClasses: SIMD16<Float> { lanes_log(lanes_splat(Float(rule.classes))) }

  private func logSumExp(_ values: Floats, _ count: Int) -> SIMD16<Float> {
    var largest = lanes_load(values)
    for i in 1..<max(count, 1) { largest = lanes_max(lanes_load(values + i * laneCount), largest) }
    var sum = lanes_splat(0)
    for i in 0..<count { sum += lanes_exp(lanes_load(values + i * laneCount) - largest) }
    return largest + lanes_log(sum)
  }
}
