internal import CLanes
public import KernelInterface

extension Kernels {
  @inline(never)
  public static func mixture(
    _ rule: MixtureRule, _ input: MixtureInput, report: FeatureMap, distribution: FeatureMap?,
    gradients: MixtureGradients?, memory: Floats
  ) {
    let slots = input.slots
    var lanes = MixtureLanes(rule, slots: slots, memory: memory)
    var atExperts = rule
    atExperts.temperature = rule.expertTemperature
    var expertLanes =
      rule.hasTwoTemperatures
      ? MixtureLanes(atExperts, slots: slots, memory: memory + rule.laneFloats(slots: slots)) : nil
    if let answers = gradients?.answers { clear(answers.base, count: answers.features &* answers.stride) }
    var column = 0
    while column < input.scores.rows {
      lanes.load(input, column: column)
      let likelihood = lanes.likelihood()
      lanes_store(report[RowReport.loss.rawValue] + column, -likelihood)
      if let gradients {
        if expertLanes != nil {
          lanes.gradients(likelihood, input, scores: gradients.gateScores, answers: nil)
          expertLanes!.load(input, column: column)
          expertLanes!.gradients(
            expertLanes!.likelihood(), input, scores: gradients.expertScores, answers: gradients.answers)
        } else {
          lanes.gradients(likelihood, input, scores: gradients.gateScores, answers: gradients.answers)
        }
      }
      lanes.predict(input, report: report)
      if let distribution { lanes.write(into: distribution) }
      column &+= laneCount
    }
  }
}
