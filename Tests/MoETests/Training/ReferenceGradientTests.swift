import TestSupport
import Testing

/// The reference against central differences of its own losses.
struct ReferenceGradientTests {
  struct Case: CustomTestStringConvertible {
    var method: ReferenceMethod
    var gateBatchNorm = false
    var expertBatchNorm = false
    /// Four stages with padding and three channels.
    var isDeep = false

    var testDescription: String {
      let norms = "BatchNorm in the gate \(gateBatchNorm), in the experts \(expertBatchNorm)"
      return "\(method), \(norms)\(isDeep ? ", deep" : "")"
    }

    var model: ReferenceModel {
      let single = method.rule == .single
      func network(_ batchNorm: Bool, outputs: Int) -> ReferenceNetwork {
        guard isDeep else {
          return ReferenceNetwork(
            name: "", side: side, filters: 2, batchNorm: batchNorm, hidden: [4, 3], outputs: outputs)
        }
        return ReferenceNetwork(
          name: "", side: side, channels: 3, filters: [2, 2, 3, 2], padding: 1,
          batchNorm: batchNorm ? [2, 4] : [], hidden: [4, 3], outputs: outputs)
      }
      var gate: ReferenceNetwork?
      if !single, [.softmax, .attentive, .loss].contains(method.gate) {
        gate = network(gateBatchNorm, outputs: 0)
        gate?.headless = method.gate == .attentive
      }
      let expert = network(expertBatchNorm, outputs: 4)
      var model = ReferenceModel.random(seed: 11, gate: gate, expert: expert, count: single ? 1 : 3)
      if method.hasTeacher {
        var trunk = network(gateBatchNorm, outputs: 0)
        trunk.headless = true
        let teacher = ReferenceModel.random(seed: 12, gate: trunk, expert: expert, count: 3)
        model.teacher = teacher.parameters.filter { !$0.key.hasPrefix("experts.") }
      }
      return model
    }

    var side: Int { isDeep ? 16 : 6 }
    var pixels: Int { side * side * (isDeep ? 3 : 1) }
  }

  static let rules: [ReferenceRule] = [
    .expectation, .stochastic, .topK(1, full: true), .topK(2, full: true), .topK(2, full: false),
    .topK(3, full: true),
  ]
  static let regularisers: [(importance: Double, similarity: ReferenceSimilarity?)] = [
    (0, nil), (0.7, nil),
    (0, ReferenceSimilarity(similarity: 2, dissimilarity: 1, scale: .number(5))),
    (
      0.3,
      ReferenceSimilarity(
        similarity: 0.05, dissimilarity: 1, authors: true, squared: true, scale: .batchMaximum)
    ),
  ]
  static let temperatures: [(gate: Double, experts: Double?)] = [(1, nil), (2, nil), (1, 3), (0.5, 2)]

  /// Gates that weigh experts × rules × regularisers, with every temperature and place of BatchNorm in turn.
  static let mixtures: [Case] = [ReferenceGate.softmax, .attentive].flatMap { gate in
    rules.enumerated().flatMap { r, rule in
      regularisers.enumerated().map { i, regulariser in
        let temperature = temperatures[(r + i) % temperatures.count]
        let method = ReferenceMethod(
          gate: gate, rule: rule, temperature: temperature.gate, expertTemperature: temperature.experts,
          importance: regulariser.importance, similarity: regulariser.similarity)
        return Case(method: method, gateBatchNorm: i % 2 == 1, expertBatchNorm: (r + i) % 3 == 0)
      }
    }
  }

  /// Of five rows and three experts.
  static let noise = [
    [0.5, -0.25, 0], [0.1, 0.7, -0.6], [-0.3, 0.2, 0.9], [0, -0.8, 0.4], [-0.5, 0.3, 0.2],
  ]

  static let others: [Case] =
    [ReferenceGate.peeking, .loudest, .classes([0, 2, 1, 0])].map { Case(method: ReferenceMethod(gate: $0)) }
    + [
      Case(method: ReferenceMethod(rule: .single), expertBatchNorm: true),
      Case(method: ReferenceMethod(gate: .loss), gateBatchNorm: true),
      Case(method: ReferenceMethod(gate: .loss, importance: 0.5)),
      Case(method: ReferenceMethod(gate: .peeking, temperature: 2), expertBatchNorm: true),
      Case(method: ReferenceMethod(temperature: 2, freeze: .experts, hasTeacher: true), gateBatchNorm: true),
      Case(method: ReferenceMethod(freeze: .experts), expertBatchNorm: true),
      Case(method: ReferenceMethod(gate: .attentive, freeze: .experts), expertBatchNorm: true),
      Case(method: ReferenceMethod(gate: .attentive, freeze: .gate), gateBatchNorm: true),
      Case(
        method: ReferenceMethod(gate: .attentive, importance: 0.5), gateBatchNorm: true,
        expertBatchNorm: true,
        isDeep: true),
      Case(method: ReferenceMethod(rule: .single), isDeep: true),
      Case(method: ReferenceMethod(zLoss: 0.7), gateBatchNorm: true),
      Case(method: ReferenceMethod(gate: .attentive, temperature: 2, expertTemperature: 3, zLoss: 0.7)),
      Case(method: ReferenceMethod(rule: .topK(1, full: true), temperature: 2, loadBalance: 0.7)),
      Case(method: ReferenceMethod(gate: .attentive, rule: .topK(2, full: false), loadBalance: 0.7)),
      Case(method: ReferenceMethod(rule: .topK(1, full: true), capacity: 0.5), gateBatchNorm: true),
      Case(method: ReferenceMethod(rule: .topK(2, full: true), temperature: 2, capacity: 0.5)),
      Case(method: ReferenceMethod(rule: .topK(2, full: false), capacity: 0.4), expertBatchNorm: true),
      Case(method: ReferenceMethod(rule: .topK(3, full: true), capacity: 0.5)),
      Case(method: ReferenceMethod(gate: .attentive, rule: .topK(2, full: false), capacity: 0.4)),
      Case(
        method: ReferenceMethod(
          gate: .softmax, rule: .topK(2, full: false), expertTemperature: 2, importance: 0.3, zLoss: 0.5,
          loadBalance: 0.4, capacity: 0.6, noise: noise)),
    ]

  @Test(arguments: mixtures + others)
  func gradientsGiveTheSlopesOfTheLosses(_ test: Case) {
    var model = test.model
    var generator = SplitMix(state: 12)
    let images = (0..<5).map { _ in (0..<test.pixels).map { _ in generator.symmetric(2) } }
    let labels = [3, 0, 2, 1, 1]
    // A tensor's gradient is that of the loss that trains it, with the others' part in the other loss detached.
    func loss(of name: String) -> Double {
      let step = model.step(images, labels, test.method)
      return name.hasPrefix("experts.") ? step.expertLoss : step.gateLoss
    }

    let gradients = model.step(images, labels, test.method).gradients
    #expect(gradients.keys.sorted() == model.trained(test.method))
    // Smooth within the step: no unit of these networks is that close to a kink, or a slope would be off by far.
    let h = 1e-6
    for name in model.trained(test.method) {
      let values = model.parameters[name]!
      // Every entry moves in every direction, so one that is wrong shows in each; several that are do not cancel in all.
      for direction in 0..<min(values.count, 3) {
        let way = values.map { _ in
          generator.symmetric(1) < 0 ? -1 - generator.symmetric(0.5) : 1 + generator.symmetric(0.5)
        }
        model.parameters[name] = zip(values, way).map { $0 + h * $1 }
        let above = loss(of: name)
        model.parameters[name] = zip(values, way).map { $0 - h * $1 }
        let below = loss(of: name)
        // The loss is about 1 and exact to 1e-16, its difference divided by 2e-6 to about 1e-10.
        let slope = dot(gradients[name]!, way)
        #expect(abs((above - below) / (2 * h) - slope) < 2e-9, "\(name), direction \(direction)")
      }
      model.parameters[name] = values
    }
  }

  /// Whatever the method, a loss without gradients would pass the comparison above.
  @Test(arguments: mixtures + others)
  func gradientsAreNotZero(_ test: Case) {
    let model = test.model
    var generator = SplitMix(state: 12)
    let images = (0..<5).map { _ in (0..<test.pixels).map { _ in generator.symmetric(2) } }
    let gradients = model.step(images, [3, 0, 2, 1, 1], test.method).gradients
    let total = gradients.keys.sorted().reduce(0) { $0 + dot(gradients[$1]!, gradients[$1]!) }
    #expect(total > 1e-8)
  }
}
