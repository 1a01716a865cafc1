import Glibc

/// The networks' part of a step: everybody's forward pass and scores, and the way back from the scores' and answers'
/// gradients to the tensors.
struct ReferencePass {
  private let model: ReferenceModel
  private let method: ReferenceMethod
  private let gateTrace: ReferenceNetwork.Trace?
  /// Of every expert on the rows that chose it, ascending.
  private let traces: [ReferenceNetwork.Trace]
  private let rowsOfExpert: [[Int]]
  /// [row][E]
  private let hidden: [[Int: [Double]]]
  /// The teacher's scores, [row][E].
  private var teacherScores: [[Double]] = []
  /// ln y, [row][expert that ran][class].
  let answers: [[Int: [Double]]]
  private(set) var scores: [[Double]]
  /// Without noise.
  let cleanScores: [[Double]]
  /// The experts that a row chooses, before capacity.
  let chosen: [[Int]]
  /// The experts of each row's mixture, ascending.
  let selected: [[Int]]

  init(
    _ model: ReferenceModel, _ images: [[Double]], _ labels: [Int], _ method: ReferenceMethod, training: Bool
  ) {
    precondition(
      model.gate != nil || method.rule == .single || ![.softmax, .attentive, .loss].contains(method.gate),
      "several experts need a gate")
    self.model = model
    self.method = method
    let gateTrace = model.gate?.forward(
      images, model.parameters, training: training && method.freeze != .gate)
    self.gateTrace = gateTrace

    // Scores that do not wait for answers decide who runs; otherwise everybody does.
    let everyone = Array(model.experts.indices)
    var scores = gateTrace?.logits ?? images.map { _ in [] }
    if case .classes(let expertOfClass) = method.gate {
      scores = labels.map { label in everyone.map { $0 == expertOfClass[label] ? 1 : 0 } }
    }
    let single = method.rule == .single
    func noisy(_ scores: [[Double]]) -> [[Double]] {
      guard training, let noise = method.noise else { return scores }
      return zip(scores, noise).map { zip($0, $1).map { $0 + $1 } }
    }
    func choose(_ scores: [[Double]]) -> [[Int]] {
      scores.map { single ? [0] : method.appliedRule.selected($0) }
    }
    func limited(_ chosen: [[Int]]) -> [[Int]] {
      training ? method.limited(chosen, experts: everyone.count) : chosen
    }
    let running =
      method.gate.needsAnswers
      ? images.map { _ in everyone } : limited(choose(noisy(scores)))
    let rowsOfExpert = everyone.map { e in images.indices.filter { running[$0].contains(e) } }
    self.rowsOfExpert = rowsOfExpert
    let traces = zip(model.experts, rowsOfExpert).map { expert, rows in
      expert.forward(
        rows.map { images[$0] }, model.parameters, training: training && method.freeze != .experts)
    }
    self.traces = traces
    func byRow(_ value: (ReferenceNetwork.Trace, Int) -> [Double]) -> [[Int: [Double]]] {
      var found = images.map { _ in [Int: [Double]]() }
      for e in everyone {
        for (place, row) in rowsOfExpert[e].enumerated() { found[row][e] = value(traces[e], place) }
      }
      return found
    }
    answers = byRow { logSoftmax($0.logits[$1]) }
    hidden = byRow { $0.hidden[$1] }
    let answers = answers
    let hidden = hidden
    func attend(_ gateHidden: [[Double]], _ parameters: Tensors) -> [[Double]] {
      let attention = ReferenceAttention(parameters, width: model.width)
      return images.indices.map { row in
        attention.scores(gate: gateHidden[row], experts: everyone.map { hidden[row][$0]! })
      }
    }

    switch method.gate {
    case .softmax, .loss, .classes: break
    case .attentive: scores = attend(gateTrace?.hidden ?? [], model.parameters)
    case .peeking:
      scores = labels.indices.map { row in everyone.map { answers[row][$0]![labels[row]] / log(2) } }
    case .loudest:
      scores = labels.indices.map { row in
        everyone.map { answers[row][$0]!.reduce(0) { $0 + exp($1) * $1 } / log(2) }
      }
    }
    cleanScores = scores
    self.scores = noisy(scores)
    chosen = choose(self.scores)
    selected = limited(chosen)
    if method.hasTeacher, training, let teacher = model.teacher, var trunk = model.gate {
      trunk.headless = true
      teacherScores = attend(trunk.forward(images, teacher, training: false).hidden, teacher)
    }
  }

  var statistics: Tensors {
    traces.reduce(into: gateTrace?.statistics ?? [:]) { all, trace in
      all.merge(trace.statistics) { own, _ in own }
    }
  }

  /// The loss of a gate that does not learn by the mixture's; nil for the others.
  func ownGateLoss(_ labels: [Int]) -> ReferenceGateLoss? {
    if !teacherScores.isEmpty {
      return ReferenceGateLoss(teacher: teacherScores, student: scores, temperature: method.temperature)
    }
    guard method.gate == .loss else { return nil }
    let likelihoods = labels.indices.map { row in
      model.experts.indices.map { answers[row][$0]![labels[row]] }
    }
    return ReferenceGateLoss(scores: scores, logLikelihoods: likelihoods)
  }

  /// - Parameters:
  ///   - ofGate: of the gate's loss by the scores, [row][E].
  ///   - ofExperts: of the experts' loss by the scores, [row][E].
  ///   - ofAnswers: of the experts' loss by the logits of the experts of each row's mixture.
  func backward(
    ofGate: [[Double]], ofExperts: [[Double]], ofAnswers: [[Int: [Double]]]
  ) -> Tensors {
    var gradients: Tensors = [:]
    var ofHidden: [[[Double]]]?
    var gateGradient = ofGate
    if method.gate == .attentive, let gateTrace {
      let attention = ReferenceAttention(model.parameters, width: model.width)
      let found = ofGate.indices.map { row in
        attention.backward(
          gate: gateTrace.hidden[row], experts: model.experts.indices.map { hidden[row][$0]! },
          ofGate: ofGate[row], ofExperts: ofExperts[row])
      }
      ofHidden = found.map(\.experts)
      gateGradient = found.map(\.gate)
      gradients[ReferenceAttention.query] = sum(found.map(\.query))
      gradients[ReferenceAttention.key] = sum(found.map(\.key))
    }
    if let gate = model.gate, let gateTrace, method.freeze != .gate {
      gradients.merge(gate.backward(gateTrace, gateGradient, model.parameters)) { own, _ in own }
    }
    for (e, expert) in model.experts.enumerated() where method.freeze != .experts {
      let rows = rowsOfExpert[e]
      // An expert that ran and is in no mixture has no gradient of its answer.
      let nothing = [Double](repeating: 0, count: expert.outputs)
      gradients.merge(
        expert.backward(
          traces[e], rows.map { ofAnswers[$0][e] ?? nothing },
          hidden: ofHidden.map { h in rows.map { h[$0][e] } },
          model.parameters)
      ) { own, _ in own }
    }
    let trained = Set(model.trained(method))
    return gradients.filter { trained.contains($0.key) }
  }

  private func sum(_ rows: [[Double]]) -> [Double] {
    rows.dropFirst().reduce(rows[0]) { zip($0, $1).map { $0 + $1 } }
  }
}
