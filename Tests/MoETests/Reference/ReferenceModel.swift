import Glibc

/// The whole training step of a mixture of experts in Double: forward, loss, every gradient, Adam.
///
/// Usage: `let step = model.step(images, labels, rule: .expectation)`, compare `step.gradients`, and
/// `model.update(step, learningRate: 1e-3)` to go on to the next step.
struct ReferenceModel {
  /// Weights, and running statistics of BatchNorm, by name; shapes as PyTorch has them.
  var parameters: Tensors
  /// nil: the single model, `experts.0` alone.
  let gate: ReferenceNetwork?
  let experts: [ReferenceNetwork]
  private var adam = ReferenceAdam()

  /// - Parameters:
  ///   - gate: its name and number of outputs are set here; nil: the single model.
  ///   - expert: the network of every expert.
  init(parameters: Tensors, gate: ReferenceNetwork?, expert: ReferenceNetwork, count: Int) {
    precondition(gate != nil || count == 1, "several experts need a gate")
    self.parameters = parameters
    var named = gate
    named?.name = "gate"
    named?.outputs = count
    self.gate = named
    experts = (0..<count).map { number in
      var network = expert
      network.name = "experts.\(number)"
      return network
    }
    for (name, shape) in shapes {
      precondition(parameters[name]?.count == shape.reduce(1, *), "\(name) needs \(shape) values")
    }
  }

  /// Every tensor's shape by name, running statistics included.
  var shapes: [String: [Int]] {
    ([gate].compactMap { $0 } + experts).reduce(into: [:]) { all, network in
      all.merge(network.shapes) { own, _ in own }
    }
  }

  /// What is trained, by name in ascending order.
  var trained: [String] { shapes.keys.filter { !$0.contains(".running_") }.sorted() }

  /// What a step computed.
  struct Step {
    /// Mean over the rows of what training minimises.
    var loss: Double
    /// The same by row.
    var losses: [Double]
    /// Of the mean, for every trained tensor; zero for an expert without rows.
    var gradients: Tensors
    /// Running statistics after the step.
    var statistics: Tensors
    /// [row][expert]; empty rows without a gate.
    var gateLogits: [[Double]]
    /// The experts that ran on each row, ascending.
    var selected: [[Int]]
    /// ln y of those experts, [row][selected][class].
    var logAnswers: [[[Double]]]
    /// ln m of the model as it would be asked for an answer (stochastic: of the arg-max expert), [row][class].
    var logMixture: [[Double]]
  }

  /// Forward and backward over one batch; changes nothing.
  ///
  /// - Parameters:
  ///   - images: normalised pixels by row.
  ///   - training: false for evaluation mode, which has no gradients and takes BatchNorm's running statistics.
  func step(
    _ images: [[Double]], _ labels: [Int], rule: ReferenceRule, temperature: Double = 1, training: Bool = true
  ) -> Step {
    precondition(
      (rule == .single) == (gate == nil), "the single model has no gate, every other rule needs one")
    let count = Double(images.count)
    let gateTrace = gate?.forward(images, parameters, training: training)
    let gateLogits = gateTrace?.logits ?? images.map { _ in [] }
    let selected = gateLogits.map { gate == nil ? [0] : rule.selected($0) }

    // Each expert runs on the rows that chose it, ascending, and its answers return to those rows.
    let rowsOfExpert = experts.indices.map { e in images.indices.filter { selected[$0].contains(e) } }
    let traces = zip(experts, rowsOfExpert).map { expert, rows in
      expert.forward(rows.map { images[$0] }, parameters, training: training)
    }
    let logAnswers = images.indices.map { row in
      selected[row].map { e in logSoftmax(traces[e].logits[rowsOfExpert[e].firstIndex(of: row)!]) }
    }

    let rowLosses = images.indices.map { row in
      ReferenceRowLoss(
        rule: rule, temperature: temperature, gateLogits: gateLogits[row], selected: selected[row],
        answers: logAnswers[row], label: labels[row])
    }
    var result = Step(
      loss: rowLosses.reduce(0) { $0 + $1.loss } / count, losses: rowLosses.map(\.loss), gradients: [:],
      statistics: gateTrace?.statistics ?? [:], gateLogits: gateLogits, selected: selected,
      logAnswers: logAnswers, logMixture: rowLosses.map(\.logMixture))
    for trace in traces { result.statistics.merge(trace.statistics) { own, _ in own } }
    guard training else { return result }

    // Gradients of the mean over all rows of the batch, whoever computes them.
    if let gate, let gateTrace {
      let gradient = rowLosses.map { $0.gateGradient.map { $0 / count } }
      result.gradients = gate.backward(gateTrace, gradient, parameters)
    }
    for (e, expert) in experts.enumerated() {
      let gradient = rowsOfExpert[e].map { row in
        rowLosses[row].expertGradients[selected[row].firstIndex(of: e)!].map { $0 / count }
      }
      result.gradients.merge(expert.backward(traces[e], gradient, parameters)) { own, _ in own }
    }
    return result
  }

  /// Takes the step: Adam on every trained tensor, and BatchNorm's running statistics.
  mutating func update(_ step: Step, learningRate: Double = 1e-3, weightDecay: Double = 0) {
    adam.update(
      &parameters, names: trained, step.gradients, learningRate: learningRate, weightDecay: weightDecay)
    parameters.merge(step.statistics) { _, new in new }
  }
}

/// torch.optim.Adam: coupled weight decay, β = (0.9, 0.999), ε = 1e-8 outside the root.
struct ReferenceAdam {
  private(set) var steps = 0
  private(set) var first: Tensors = [:]
  private(set) var second: Tensors = [:]

  mutating func update(
    _ parameters: inout Tensors, names: [String], _ gradients: Tensors, learningRate: Double,
    weightDecay: Double
  ) {
    steps += 1
    let correction1 = 1 - pow(0.9, Double(steps))
    let correction2 = 1 - pow(0.999, Double(steps))
    for name in names {
      var values = parameters[name]!
      var m = first[name] ?? values.map { _ in 0 }
      var v = second[name] ?? values.map { _ in 0 }
      for i in values.indices {
        let g = gradients[name]![i] + weightDecay * values[i]
        m[i] = 0.9 * m[i] + 0.1 * g
        v[i] = 0.999 * v[i] + 0.001 * g * g
        values[i] -= learningRate * (m[i] / correction1) / ((v[i] / correction2).squareRoot() + 1e-8)
      }
      (parameters[name], first[name], second[name]) = (values, m, v)
    }
  }
}

extension ReferenceModel {
  /// Random weights about as large as PyTorch's initial ones, BatchNorm away from its usual start 1 and 0.
  ///
  /// Every value is a Float, so that a model in Float can start from the same ones.
  static func random(
    seed: UInt64, gate: ReferenceNetwork?, expert: ReferenceNetwork, count: Int
  ) -> ReferenceModel {
    var generator = SplitMix(state: seed)
    var networks = (0..<count).map { number in
      var network = expert
      network.name = "experts.\(number)"
      return network
    }
    if var gate {
      (gate.name, gate.outputs) = ("gate", count)
      networks.append(gate)
    }
    var parameters: Tensors = [:]
    for network in networks {
      let shapes = network.shapes
      for (name, shape) in shapes.sorted(by: { $0.key < $1.key }) {
        let layer = name[..<name.lastIndex(of: ".")!]
        let fanIn = shapes[layer + ".weight"]!.dropFirst().reduce(1, *)
        parameters[name] = (0..<shape.reduce(1, *)).map { _ in
          if name.hasSuffix("bn1.weight") || name.hasSuffix("running_var") {
            return Double(Float(0.5 + generator.unit()))
          }
          return Double(
            Float(generator.symmetric(layer.hasSuffix("bn1") ? 0.5 : 1 / Double(fanIn).squareRoot())))
        }
      }
    }
    return ReferenceModel(parameters: parameters, gate: gate, expert: expert, count: count)
  }
}
