package import Files
internal import KernelInterface
internal import MoE
internal import Numerics

/// Turns what rank 0 knows of a batch into metrics and per-sample outcomes.
package struct OutcomeReader {
  private let experts: Int
  private let hasGate: Bool
  private let temperature: Float
  private let workspace: Workspace

  package init(experts: Int, hasGate: Bool, temperature: Float, batchRows: Int) {
    self.experts = experts
    self.hasGate = hasGate
    self.temperature = temperature
    workspace = Workspace(
      capacity: Workspace.bytes(floats: FeatureMap.count(features: 2 * experts + 1, rows: batchRows)) + 256)
  }

  /// What the gate says of a batch.
  private struct GateView {
    let probabilities: FeatureMap
    let entropies: Floats
    let chosen: [Int32]
  }

  private func gateView(_ scores: FeatureMap) -> GateView {
    workspace.reset()
    let logP = workspace.map(features: experts, rows: scores.rows)
    let p = workspace.map(features: experts, rows: scores.rows)
    let entropies = workspace.floats(scores.columns)
    kernels.logSoftmax(scores, scale: 1 / temperature, into: logP)
    kernels.probabilities(of: logP, into: p, entropies: entropies)
    let chosen = (0..<scores.rows).map { row in
      var best = 0
      for expert in 1..<max(experts, 1) where scores[expert][row] > scores[best][row] { best = expert }
      return Int32(best)
    }
    return GateView(probabilities: p, entropies: entropies, chosen: chosen)
  }

  /// Adds a batch to an accumulator.
  ///
  /// - Throws: ``Failure`` with the exit code for divergence when a loss is not finite.
  package func add(
    _ outcome: StepOutcome, labels: [UInt8], step: Int, to accumulator: inout MetricsAccumulator
  ) throws(Failure) {
    guard let scores = outcome.scores.first, let report = outcome.report else { return }
    let rows = report.rows
    func line(_ item: RowReport) -> Floats { report[item.rawValue] }
    func integers(_ item: RowReport) -> [Int32] {
      let values = line(item)
      return (0..<rows).map { values[$0].isFinite ? Int32(values[$0]) : 0 }
    }
    let losses = line(.loss)
    for row in 0..<rows where !losses[row].isFinite {
      throw Failure(
        .diverged,
        "the loss of row \(row) of step \(step) is not finite; start again with a smaller \(setting: "learning-rate"), if need be "
          + "with the weights of an earlier checkpoint by \(setting: "init-from")")
    }
    if let loss = outcome.losses.first(where: { !$0.weighted.isFinite }) {
      throw Failure(
        .diverged,
        "the \(loss.name) of step \(step) is not finite; lower its weight or \(setting: "learning-rate")")
    }
    let view = hasGate ? gateView(scores) : nil
    let chosenClasses = integers(.chosenClass)
    accumulator.add(
      rows: rows, probabilities: view.map { UnsafePointer($0.probabilities.base) },
      stride: view?.probabilities.stride ?? rows, entropies: view.map { UnsafePointer($0.entropies) },
      labels: labels, losses: line(.crossEntropy), predictions: integers(.prediction),
      chosenExperts: view?.chosen, chosenClasses: view == nil ? nil : chosenClasses,
      labelRanks: integers(.labelRank), objectives: losses)
    if hasGate {
      for (layer, scores) in outcome.scores.enumerated().dropFirst() {
        let view = gateView(scores)
        accumulator.add(
          layer: layer, rows: rows, probabilities: view.probabilities.base, stride: view.probabilities.stride,
          entropies: view.entropies, labels: labels, chosenExperts: view.chosen, chosenClasses: chosenClasses)
      }
    }
    if !outcome.losses.isEmpty { accumulator.add(outcome.losses, rows: rows) }
  }

  /// What the model says of every sample of a batch.
  ///
  /// - Throws: ``Failure`` with the exit code for bad data where an answer is no number: the largest of NaN is no class.
  package func samples(_ outcome: StepOutcome, samples: ArraySlice<Int32>, labels: [UInt8]?) throws(Failure)
    -> [SampleOutcome]
  {
    guard let scores = outcome.scores.first, let report = outcome.report else { return [] }
    let view = gateView(scores)
    for (row, sample) in samples.enumerated() {
      let said = [report[RowReport.prediction.rawValue][row], report[RowReport.confidence.rawValue][row]]
      let isNumber = (0..<experts).allSatisfy { view.probabilities[$0][row].isFinite }
      guard said.allSatisfy(\.isFinite), isNumber else {
        throw Failure(
          .badData,
          "sample \(sample): \(isNumber ? "the model's answer" : "the gate's choice") is not a finite number; the weights of "
            + "the checkpoint are too large for it")
      }
    }
    return samples.enumerated().map { row, sample in
      SampleOutcome(
        sample: Int(sample), label: labels.map { Int($0[row]) },
        prediction: Int(report[RowReport.prediction.rawValue][row]),
        probability: report[RowReport.confidence.rawValue][row], expert: Int(view.chosen[row]),
        gateProbabilities: (0..<experts).map { view.probabilities[$0][row] })
    }
  }

  /// What happened to every sample of a batch, of a step that tells details.
  ///
  /// - Throws: as ``samples(_:samples:labels:)``.
  package func details(_ outcome: StepOutcome, samples: ArraySlice<Int32>, labels: [UInt8]?) throws(Failure)
    -> [SampleDetail]
  {
    guard let told = outcome.details else { return [] }
    let outcomes = try self.samples(outcome, samples: samples, labels: labels)
    var layers = outcomes.map { _ in [SampleDetail.Layer]() }
    for (scores, parts) in zip(outcome.scores, told.parts) {
      let view = gateView(scores)
      for row in layers.indices {
        layers[row].append(
          SampleDetail.Layer(
            gate: (0..<experts).map { view.probabilities[$0][row] },
            parts: (0..<experts).map { ExpertPart(rawValue: Int(parts[$0][row])) ?? .idle }))
      }
    }
    let classes = told.distribution.features
    return outcomes.enumerated().map { row, outcome in
      let answers: [[Float]?] =
        told.answers.map { answers in
          (0..<experts).map { expert in
            guard layers[row].first?.parts[expert] != .idle else { return nil }
            return (0..<classes).map { answers[expert * classes + $0][row] }
          }
        } ?? []
      return SampleDetail(
        outcome: outcome, distribution: (0..<classes).map { told.distribution[$0][row] },
        layers: layers[row], answers: answers)
    }
  }
}

/// What the model says of one sample.
public struct SampleOutcome: Equatable, Sendable {
  /// Number of the sample in its file.
  public let sample: Int
  /// The true class, where it is known.
  public let label: Int?
  /// The model's class and its probability.
  public let prediction: Int
  public let probability: Float
  /// The expert with the largest gate logit in the first layer; 0 for the single model.
  public let expert: Int
  /// p(e|x) of every expert of the first layer.
  public let gateProbabilities: [Float]

  package init(
    sample: Int, label: Int?, prediction: Int, probability: Float, expert: Int, gateProbabilities: [Float]
  ) {
    self.sample = sample
    self.label = label
    self.prediction = prediction
    self.probability = probability
    self.expert = expert
    self.gateProbabilities = gateProbabilities
  }
}
