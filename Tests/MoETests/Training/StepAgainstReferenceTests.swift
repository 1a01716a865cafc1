import DataSets
import Dist
import KernelInterface
import MoE
import Networks
import Numerics
import Testing
import Training

/// The Float path, through the real exchange, against the Double reference: 37 rows in blocks of 16, three experts, and
/// the edges: one row, a batch that is not full, more experts than rows, idle experts, more ranks than blocks.
struct StepAgainstReferenceTests {
  /// Rows of a full batch.
  static let batchSize = 37
  static let steps = 5
  static let mean = 0.2859
  static let standardDeviation = 0.3530

  struct Case: Sendable, CustomTestStringConvertible {
    var family: ReferenceFamily
    var rule: ReferenceRule
    var temperature = 1.0
    var weightDecay = 0.0
    var payload = Payload.uint8
    var gatePlacement = GatePlacement.root
    /// 0 for the single model.
    var experts = 3
    var rows = batchSize
    /// An expert that the gate never prefers.
    var idle: Int?
    /// Width of a border of zeros around every image, where neighbouring windows tie.
    var frame = 0
    var gate = ReferenceGate.softmax
    var expertTemperature: Double?
    var importance = 0.0
    var similarity: ReferenceSimilarity?
    var zLoss = 0.0
    var loadBalance = 0.0
    var capacity: Double?
    /// Factor of the noise.
    var noise = 0.0
    var freeze = ReferenceFreeze.none
    /// The gate learns an attentive teacher's probabilities.
    var hasTeacher = false
    var products = DenseProducts.own
    /// The largest norm of the gradients.
    var clipNorm: Double?
    /// Of the weights at the start.
    var seed: UInt64 = 44

    var method: ReferenceMethod {
      ReferenceMethod(
        gate: gate, rule: rule, temperature: temperature, expertTemperature: expertTemperature,
        importance: importance, similarity: similarity, zLoss: zLoss, loadBalance: loadBalance,
        capacity: capacity, noise: noise > 0 ? drawn : nil, freeze: freeze, hasTeacher: hasTeacher)
    }

    /// The noise itself, of the keys that ``run(_:ranks:)`` has; see ScoreNoiseTests for what it is.
    private var drawn: [[Double]] {
      let workspace = Workspace()
      let zero = workspace.map(features: experts, rows: rows)
      zero.clear()
      let noisy = workspace.map(features: experts, rows: rows)
      let point = StepPoint(mode: .training, samples: (0..<Int32(rows)).map { $0 }[...])
      ScoreNoise(factor: noise).add(to: zero, rows: 0..<rows, at: point, into: noisy)
      return (0..<rows).map { row in (0..<experts).map { Double(noisy[$0][row]) } }
    }

    var testDescription: String {
      let edges = "E = \(experts), B = \(rows), idle \(idle.map(String.init) ?? "none"), frame \(frame)"
      return
        "\(family.rawValue), \(methodText), decay \(weightDecay), \(products.rawValue), \(payload.rawValue), \(gatePlacement.rawValue), \(edges)"
    }

    /// The method without the numbers of its noise.
    private var methodText: String {
      var plain = self
      plain.noise = 0
      return "\(plain.method), noise \(noise)"
    }

    var configuration: Configuration {
      var configuration = Configuration()
      configuration.model = family.rawValue
      configuration.experts = max(1, experts)
      configuration.gate = rule == .single ? .none : gateKind
      if case .classes(let experts) = gate { configuration.expertClasses = Case.lists(experts) }
      configuration.expertTemperature = expertTemperature
      configuration.importance = importance
      configuration.zLoss = zLoss
      configuration.loadBalance = loadBalance
      configuration.capacity = capacity
      configuration.noise = noise
      configuration.products = products
      if let similarity {
        configuration.similarity = similarity.similarity
        configuration.dissimilarity = similarity.dissimilarity
        configuration.similarityScaling = similarity.authors ? .authors : .perPair
        configuration.similarityDistance = similarity.squared ? .squaredEuclidean : .euclidean
        switch similarity.scale {
        case .number(let value): configuration.similarityScale = String(value)
        case .batchMaximum: configuration.similarityScale = "batch-max"
        }
      }
      switch freeze {
      case .none: configuration.freeze = .none
      case .gate: configuration.freeze = .gate
      case .experts: configuration.freeze = .experts
      }
      switch rule {
      case .single, .expectation: configuration.combine = .expectation
      case .stochastic: configuration.combine = .stochastic
      case .topK(let k, let full):
        configuration.combine = .topK
        configuration.topK = k
        configuration.topKWeights = full ? .full : .renormalised
      }
      configuration.temperature = temperature
      configuration.weightDecay = weightDecay
      configuration.clipNorm = clipNorm
      configuration.payload = payload
      configuration.gatePlacement = gatePlacement
      configuration.batchSize = batchSize
      configuration.blockRows = 16
      // Read by nobody here: the teacher's tensors are put in place below.
      configuration.distillFrom = hasTeacher ? "teacher" : nil
      return configuration
    }

    private var gateKind: GateKind {
      switch gate {
      case .softmax: .softmax
      case .attentive: .attentive
      case .peeking: .peeking
      case .loudest: .loudest
      case .loss: .loss
      case .classes: .classes
      }
    }

    /// The classes of every expert, as the option `--expert-classes` has them.
    private static func lists(_ expertOfClass: [Int]) -> String {
      (0...(expertOfClass.max() ?? 0)).map { expert in
        expertOfClass.indices.filter { expertOfClass[$0] == expert }.map(String.init).joined(separator: ",")
      }.joined(separator: "/")
    }

    var batch: ReferenceBatch { ReferenceBatch(rows: rows, frame: frame, seed: 41) }

    var model: ReferenceModel {
      var model = family.model(experts: experts, gate: gate, seed: seed)
      if hasTeacher {
        let teacher = family.model(experts: experts, gate: .attentive, seed: seed + 1)
        model.teacher = teacher.parameters.filter { !$0.key.hasPrefix("experts.") }
      }
      if let idle { model.parameters["gate.out.bias"]![idle] = -20 }
      return model
    }
  }

  static let cases: [Case] = ReferenceFamily.allCases.flatMap { family in
    [
      Case(family: family, rule: .single, weightDecay: 0.01, experts: 0),
      Case(family: family, rule: .expectation),
      Case(family: family, rule: .expectation, temperature: 2, payload: .float32),
      Case(family: family, rule: .expectation, gatePlacement: .replicated),
      Case(family: family, rule: .stochastic),
      Case(family: family, rule: .topK(1, full: true)),
      Case(family: family, rule: .topK(2, full: true), weightDecay: 0.01, payload: .index),
      Case(family: family, rule: .topK(2, full: false), temperature: 0.5),
      Case(family: family, rule: .topK(3, full: true)),
      Case(family: family, rule: .expectation, gatePlacement: .replicated, products: .openblas),
    ]
  }

  static let edges: [Case] = [
    Case(family: .mnist, rule: .single, experts: 0, rows: 1),
    Case(family: .mnist, rule: .expectation, rows: 1),
    Case(family: .fashionMNIST, rule: .topK(1, full: true), rows: 1),
    Case(family: .mnist, rule: .expectation, experts: 1),
    Case(family: .mnist, rule: .topK(1, full: true), experts: 1, rows: 17),
    Case(family: .mnist, rule: .stochastic, experts: 5, rows: 5),
    Case(family: .fashionMNIST, rule: .topK(2, full: true), experts: 8, rows: 3),
    Case(family: .mnist, rule: .topK(1, full: true), weightDecay: 0.01, experts: 4, idle: 1),
    Case(family: .mnist, rule: .topK(2, full: false), payload: .index, experts: 3, rows: 33, idle: 0),
    Case(family: .fashionMNIST, rule: .expectation, experts: 2, rows: 32, frame: 7),
    Case(family: .mnist, rule: .topK(1, full: true), experts: 3, frame: 9),
  ]

  /// What one rank has to show.
  struct Findings: Sendable {
    /// Of the first step, by row; rank 0 only.
    var losses: [Double] = []
    /// What the regularisers add to the loss in the first step; rank 0 only.
    var regularisers = 0.0
    /// −ln m_label and class by row in evaluation mode after the last step; rank 0 only.
    var evaluated: [Double] = []
    var predictions: [Int] = []
    /// Of this rank's tensors.
    var gradients: Tensors = [:]
    var final: Tensors = [:]
  }

  static func run(_ test: Case, ranks: Int) throws -> [Findings] {
    let start = test.model.parameters
    let known = test.model.teacher ?? [:]
    let rows = test.rows
    return try onRanks(ranks) { communicator in
      let batch = test.batch
      let images = ImageSet(
        shape: ImageShape(channels: 1, height: 28, width: 28), images: batch.bytes, labels: batch.labels)
      let data = DataSet(
        name: "noise", classes: 10, classNames: (0..<10).map(String.init), train: images, test: images,
        mean: [mean], standardDeviation: [standardDeviation], fingerprints: [:], location: "", notes: [])
      let session = try ModelSession(
        test.configuration, data: data, communicator: communicator, training: true,
        clock: PhaseClock(communicator) { _, _ in })
      let places = session.parts.parameters.flatMap { parameters in
        parameters.places.map { (parameters, $0) }
      }
      for (parameters, place) in places {
        for (i, value) in (start[place.spec.name] ?? []).enumerated() {
          parameters.values[place.offset + i] = Float(value)
        }
      }

      for parameters in (session.parts.gate as? DistillationGate)?.teacher.parameters ?? [] {
        for place in parameters.places {
          for (i, value) in (known[place.spec.name] ?? []).enumerated() {
            parameters.values[place.offset + i] = Float(value)
          }
        }
      }

      // Of a replicated gate's copies, that of rank 0 is looked at.
      func isOwned(_ place: Parameters.Place) -> Bool {
        communicator.rank == 0 || place.spec.name.hasPrefix("experts.")
      }
      var findings = Findings()
      let order = (0..<Int32(rows)).map { $0 }
      guard let step = session.trainingStep else { return findings }
      for number in 1...steps {
        let point = UpdatePoint(
          step: number, learningRate: test.configuration.learningRate, weightDecay: test.weightDecay)
        let outcome = try step.run(
          order[...], of: ImageView(images), epoch: 0, mode: .training(point), word: 0)
        guard number == 1 else { continue }
        if let report = outcome.report {
          findings.losses = (0..<rows).map { Double(report[RowReport.loss.rawValue][$0]) }
        }
        findings.regularisers = outcome.losses.total
        // A replicated gate's gradients are complete on no rank, until they are gathered.
        for parameters in session.parts.gate?.parameters ?? [] {
          try session.parts.place.completeGradients(parameters)
        }
        for (parameters, place) in places where place.spec.isTrained && isOwned(place) {
          // Frozen networks have none.
          guard let training = parameters.training else { continue }
          let gradients = training.gradients + place.offset
          findings.gradients[place.spec.name] = (0..<place.spec.count).map { Double(gradients[$0]) }
        }
      }
      for (parameters, place) in places where isOwned(place) {
        let values = parameters.values + place.offset
        findings.final[place.spec.name] = (0..<place.spec.count).map { Double(values[$0]) }
      }
      let outcome = try session.evaluationStep.run(
        order[...], of: ImageView(images), epoch: 0, mode: .evaluation, word: 0)
      if let report = outcome.report {
        findings.evaluated = (0..<rows).map { Double(report[RowReport.loss.rawValue][$0]) }
        findings.predictions = (0..<rows).map { Int(report[RowReport.prediction.rawValue][$0]) }
      }
      return findings
    }
  }

  @Test(arguments: cases)
  func stepsAgree(_ test: Case) throws { try Self.expectAgreement(test, ranks: [1, 2, 3]) }

  @Test(arguments: edges)
  func edgesAgree(_ test: Case) throws { try Self.expectAgreement(test, ranks: [1, 2, 4, 7]) }

  /// The reference is computed once, and the Float path compared with it at every number of ranks.
  static func expectAgreement(_ test: Case, ranks: [Int]) throws {
    let method = test.method
    let images = test.batch.images(mean: mean, standardDeviation: standardDeviation)
    let labels = test.batch.labels.map(Int.init)
    var model = test.model
    let first = model.step(images, labels, method)
    for number in 0..<steps {
      let step = number == 0 ? first : model.step(images, labels, method)
      model.update(step, weightDecay: test.weightDecay, clipNorm: test.clipNorm)
    }
    let evaluation = model.step(images, labels, method, training: false)
    let evaluated = zip(evaluation.logMixture, labels).map { -$0[$1] }
    let predictions = evaluation.logMixture.map { row in row.indices.max { row[$0] < row[$1] } ?? 0 }

    for ranks in ranks {
      let findings = try run(test, ranks: ranks)
      if test.hasTeacher {
        // A divergence is a small difference of logarithms of order one, so its error is measured against one.
        let worst = zip(findings[0].losses, first.losses).map { abs($0 - $1) }.max() ?? 1
        #expect(findings[0].losses.count == first.losses.count && worst < 2e-6, "N = \(ranks)")
      } else {
        #expect(relativeDifference(findings[0].losses, first.losses) < 2e-6, "N = \(ranks)")
      }
      #expect(relativeDifference([findings[0].regularisers], [first.regularisers]) < 1e-5, "N = \(ranks)")

      // Every tensor has one owner.
      let gradients = merged(findings.map(\.gradients))
      #expect(gradients.keys.sorted() == first.gradients.keys.sorted(), "N = \(ranks)")
      for name in model.trained(method) {
        let found = comparable(name, gradients)
        let expected = comparable(name, first.gradients)
        #expect(relativeDifference(found, expected) <= 1e-5, "\(name), N = \(ranks)")
      }
      let final = merged(findings.map(\.final))
      #expect(final.keys.sorted() == model.shapes.keys.sorted(), "N = \(ranks)")
      for name in model.shapes.keys.sorted() {
        let found = final[name] ?? []
        #expect(relativeDifference(found, model.parameters[name]!) <= 1e-4, "\(name), N = \(ranks)")
      }
      #expect(relativeDifference(findings[0].evaluated, evaluated) < 1e-4, "N = \(ranks)")
      #expect(findings[0].predictions == predictions, "N = \(ranks)")
    }
  }

  /// The tensor, and with a tensor of one number the rest of its layer: that number, a sum over all rows and positions,
  /// may cancel to nothing, and then has no digits to compare.
  private static func comparable(_ name: String, _ tensors: Tensors) -> [Double] {
    let tensor = tensors[name] ?? []
    guard tensor.count == 1, name.hasSuffix(".bias") else { return tensor }
    return tensor + (tensors[name.replacing(".bias", with: ".weight")] ?? [])
  }

  private static func merged(_ tensors: [Tensors]) -> Tensors {
    tensors.reduce(into: [:]) { all, own in
      all.merge(own) { first, _ in
        Issue.record("two ranks hold the same tensor")
        return first
      }
    }
  }
}
