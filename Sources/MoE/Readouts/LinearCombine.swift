public import KernelInterface
public import Numerics

/// y = Σ_e p_e·o_e over the chosen experts, ascending, with p = softmax(score/T): the sparsely gated mixture of Shazeer et
/// al. 2017 (arXiv 1701.06538), equation 1.
public struct LinearCombine: Readout, Sendable {
  /// What the answers are weighed by.
  public enum Weights: Equatable, Sendable {
    /// p of the softmax over all experts, as in Switch (Fedus et al. 2021, arXiv 2101.03961).
    case full
    /// A softmax over the chosen experts.
    case renormalised
  }

  private let weights: Weights
  private let scale: Float

  /// - Parameters:
  ///   - weights: what the answers are weighed by.
  ///   - temperature: T, that of the layer.
  public init(_ weights: Weights, temperature: Float) {
    self.weights = weights
    scale = 1 / temperature
  }

  public func forward(_ slots: SlotView, into outputs: FeatureMap, in workspace: Workspace) {
    let mark = workspace.mark
    let p = probabilities(slots, in: workspace)
    let line = workspace.floats(slots.scores.columns)
    outputs.clear()
    for slot in 0..<slots.slots {
      let weight = self.line(p, slot, slots, into: line)
      let answers = slots.outputs(slot, of: slots.answers)
      for feature in 0..<answers.features {
        VectorMap.multiplyAdd(
          weight, answers[feature], outputs[feature], into: outputs[feature], count: outputs.columns)
      }
    }
    workspace.release(to: mark)
  }

  /// With g_e = ⟨∂y, o_e⟩ of the chosen experts and 0 of the others: ∂o_e = p_e ∂y, ∂s_e = p_e (g_e − Σ p g)/T.
  public func backward(
    _ slots: SlotView, outputs: FeatureMap, into gradients: MixtureGradients, in workspace: Workspace
  ) {
    let mark = workspace.mark
    let p = probabilities(slots, in: workspace)
    let line = workspace.floats(slots.scores.columns)
    let inner = workspace.floats(slots.scores.columns)
    gradients.gateScores.clear()
    for slot in 0..<slots.slots {
      let answers = slots.outputs(slot, of: slots.answers)
      inner.update(repeating: 0, count: outputs.columns)
      for feature in 0..<answers.features {
        VectorMap.multiplyAdd(outputs[feature], answers[feature], inner, into: inner, count: outputs.columns)
      }
      scatter(inner, slot, slots, into: gradients.gateScores)
      guard let ofAnswers = gradients.answers else { continue }
      // Hidden values get a gradient from the scorer alone.
      ofAnswers.part(slot * slots.layout.width..<(slot + 1) * slots.layout.width).clear()
      let weight = self.line(p, slot, slots, into: line)
      let target = slots.outputs(slot, of: ofAnswers)
      for feature in 0..<target.features {
        VectorMap.multiply(weight, outputs[feature], into: target[feature], count: outputs.columns)
      }
    }
    kernels.softmaxGradient(gradients.gateScores, probabilities: p, scale: scale)
    gradients.gateScores.clearPadding()
    workspace.release(to: mark)
  }

  /// [experts][rows]: the experts' weights, of which those of empty slots are lost; with renormalised weights 0 where an expert was not chosen.
  private func probabilities(_ slots: SlotView, in workspace: Workspace) -> FeatureMap {
    let p = workspace.map(features: slots.scores.features, rows: slots.scores.rows)
    guard weights == .renormalised, let table = slots.table else {
      kernels.softmax(slots.scores, scale: scale, into: p)
      return p
    }
    // Far below any score, so that nothing is left of it, and finite whatever T is: a row may have no expert at all.
    p.base.update(repeating: -1e30 * min(1 / scale, 1), count: p.features * p.stride)
    for row in 0..<p.rows {
      for slot in 0..<table.slots where table[row, slot] != SlotTable.empty {
        let expert = table[row, slot]
        p[expert][row] = slots.scores[expert][row]
      }
    }
    for column in p.rows..<p.columns {
      for expert in 0..<p.features { p[expert][column] = 0 }
    }
    kernels.softmax(p, scale: scale, into: p)
    return p
  }

  /// The weights of the experts in a slot, one per row.
  private func line(_ p: FeatureMap, _ slot: Int, _ slots: SlotView, into line: Floats) -> Floats {
    guard let table = slots.table else { return p[slot] }
    for row in 0..<p.rows {
      let expert = table[row, slot]
      line[row] = expert == SlotTable.empty ? 0 : p[expert][row]
    }
    for column in p.rows..<p.columns { line[column] = 0 }
    return line
  }

  private func scatter(_ values: Floats, _ slot: Int, _ slots: SlotView, into map: FeatureMap) {
    guard let table = slots.table else {
      map[slot].update(from: values, count: map.columns)
      return
    }
    for row in 0..<map.rows where table[row, slot] != SlotTable.empty {
      map[table[row, slot]][row] = values[row]
    }
  }
}
