import Glibc
import TestSupport
import Testing

/// ‖a − b‖ / ‖b‖, or ‖a‖ where b is zero; infinite for tensors of different sizes.
func relativeDifference(_ a: [Double], _ b: [Double]) -> Double {
  guard a.count == b.count else { return .infinity }
  let difference = zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
  let norm = b.reduce(0) { $0 + $1 * $1 }.squareRoot()
  return norm > 0 ? difference / norm : difference
}

/// The reference against PyTorch in float64, from a file that PyTorch wrote.
struct ReferenceAgainstPyTorchTests {
  static let reference = try? PyTorchReference.load()

  @Test func theFileHoldsEveryRule() throws {
    let cases = try PyTorchReference.load().cases
    let rules = Set(cases.map { "\($0.rule) \($0.k ?? 0) \($0.weights ?? "") \($0.gate ?? "")" })
    for gate in ["plain", "batch-norm"] {
      for rule in ["expectation 0 ", "stochastic 0 ", "top-k 1 full", "top-k 2 full", "top-k 2 renormalised"]
      {
        #expect(rules.contains("\(rule) \(gate)"))
      }
    }
    #expect(rules.contains("single 0  "))
  }

  @Test(arguments: reference?.cases ?? [])
  func stepsAgree(_ test: PyTorchReference.Case) throws {
    let reference = try #require(Self.reference)
    let rule = try #require(reference.rule(test))
    var model = reference.model(test)
    #expect(model.shapes.keys.sorted() == test.final.keys.sorted())
    #expect(model.trained == test.gradients.keys.sorted())
    for number in 0..<reference.steps {
      let step = model.step(
        reference.images(test), reference.labels, rule: rule, temperature: test.temperature)
      #expect(abs(step.loss - test.stepLosses[number]) < 1e-12)
      if number == 0 {
        #expect(relativeDifference(step.losses, test.losses) < 1e-13)
        for name in model.trained {
          #expect(relativeDifference(step.gradients[name]!, test.gradients[name]!) < 1e-12, "\(name)")
        }
      }
      model.update(step, learningRate: reference.learningRate, weightDecay: test.weightDecay)
    }
    for (name, expected) in test.final.sorted(by: { $0.key < $1.key }) {
      #expect(relativeDifference(model.parameters[name]!, expected) < 1e-10, "\(name)")
    }
  }
}

/// Facts that follow from the formulas alone.
struct ReferenceFactsTests {
  let expert = ReferenceNetwork(name: "", side: 8, filters: 1, hidden: [5], outputs: 4)
  let gate = ReferenceNetwork(name: "", side: 8, filters: 2, batchNorm: true, hidden: [6], outputs: 0)
  let labels = [3, 0, 2, 1, 1, 0]
  var images: [[Double]] {
    var generator = SplitMix(state: 5)
    return labels.map { _ in (0..<64).map { _ in generator.symmetric(2) } }
  }

  func mixture(experts: Int) -> ReferenceModel {
    .random(seed: 21, gate: gate, expert: expert, count: experts)
  }

  private func expectSame(_ a: ReferenceStep, _ b: ReferenceStep, _ names: [String]) {
    #expect(abs(a.loss - b.loss) < 1e-14)
    for name in names {
      #expect(relativeDifference(a.gradients[name]!, b.gradients[name]!) < 1e-12, "\(name)")
    }
  }

  @Test(arguments: [true, false])
  func allExpertsSelectedIsTheDenseMixture(full: Bool) {
    let model = mixture(experts: 3)
    let dense = model.step(images, labels, rule: .expectation, temperature: 2)
    let sparse = model.step(images, labels, rule: .topK(3, full: full), temperature: 2)
    expectSame(sparse, dense, model.trained)
  }

  @Test(arguments: [ReferenceRule.expectation, .topK(1, full: true), .topK(1, full: false)])
  func oneExpertIsTheSingleModel(rule: ReferenceRule) {
    let model = mixture(experts: 1)
    let single = ReferenceModel(
      parameters: model.parameters.filter { $0.key.hasPrefix("experts.") }, gate: nil, expert: expert,
      count: 1)
    let step = model.step(images, labels, rule: rule)
    expectSame(step, single.step(images, labels, rule: .single), single.trained)
    for name in model.trained where name.hasPrefix("gate.") {
      #expect(step.gradients[name]!.allSatisfy { abs($0) < 1e-15 }, "\(name)")
    }
  }

  @Test func anIdleExpertHasNoGradientAndDecaysOnly() {
    var model = mixture(experts: 3)
    model.parameters["gate.out.bias"]![1] = -100
    let before = model.parameters
    let step = model.step(images, labels, rule: .topK(2, full: true))
    #expect(step.selected.allSatisfy { $0 == [0, 2] })
    let idle = model.trained.filter { $0.hasPrefix("experts.1.") }
    for name in idle { #expect(step.gradients[name]!.allSatisfy { $0 == 0 }) }
    var decayed = model
    model.update(step, learningRate: 0.1)
    for name in idle { #expect(model.parameters[name] == before[name]) }
    // The first step of Adam has the size of the learning rate, against the sign of weight decay's gradient.
    decayed.update(step, learningRate: 0.1, weightDecay: 0.5)
    for name in idle {
      for (value, start) in zip(decayed.parameters[name]!, before[name]!) {
        #expect(abs(value - (start - (start < 0 ? -0.1 : 0.1))) < 1e-6)
      }
    }
  }

  @Test func equalLogitsGoToTheLowestExpert() {
    #expect(ReferenceRule.topK(1, full: true).selected([1, 2, 2, 0]) == [1])
    #expect(ReferenceRule.topK(3, full: true).selected([0, 2, 0, 0]) == [0, 1, 2])
    #expect(ReferenceRule.expectation.selected([0, 1]) == [0, 1])
  }

  @Test func aConfidentGateLeavesNumbers() {
    var model = mixture(experts: 3)
    model.parameters["gate.out.bias"]![2] = 2000
    for rule in [ReferenceRule.expectation, .stochastic, .topK(1, full: true), .topK(2, full: false)] {
      let step = model.step(images, labels, rule: rule)
      #expect(step.loss.isFinite)
      #expect(step.gradients.values.allSatisfy { $0.allSatisfy(\.isFinite) })
    }
  }

  @Test func theAnswerIsADistribution() {
    let model = mixture(experts: 3)
    for rule in [ReferenceRule.expectation, .stochastic, .topK(1, full: true), .topK(2, full: false)] {
      for row in model.step(images, labels, rule: rule, training: false).logMixture {
        #expect(abs(row.reduce(0) { $0 + exp($1) } - 1) < 1e-14)
      }
    }
  }

  @Test func evaluationTakesTheRunningStatistics() {
    // With running statistics equal to the batch's, evaluation and training agree.
    var model = mixture(experts: 3)
    let untouched = model.step(images, labels, rule: .expectation, training: false)
    #expect(untouched.statistics["gate.bn1.running_mean"] == model.parameters["gate.bn1.running_mean"])
    let trace = model.gate!.forward(images, model.parameters, training: true)
    model.parameters["gate.bn1.running_mean"] = trace.pass.layers[1].mean
    model.parameters["gate.bn1.running_var"] = trace.pass.layers[1].variance
    let evaluated = model.step(images, labels, rule: .expectation, training: false)
    #expect(abs(evaluated.loss - model.step(images, labels, rule: .expectation).loss) < 1e-14)
    #expect(evaluated.gradients.isEmpty)
  }
}

/// The reference on the networks that are trained in earnest.
struct ReferenceFamilyTests {
  @Test func theNetworksHaveThePublishedSizes() {
    #expect(ReferenceFamily.mnist.expert(classes: 10).trainedCount == 1_382)
    #expect(ReferenceFamily.mnist.gate(experts: 5).trainedCount == 26_063)
    #expect(ReferenceFamily.fashionMNIST.expert(classes: 10).trainedCount == 13_300)
    #expect(ReferenceFamily.fashionMNIST.gate(experts: 5).trainedCount == 709_413)
  }

  /// A step along the negative gradient lowers the loss by its squared norm times the step's length.
  @Test(arguments: ReferenceFamily.allCases, [0, 3])
  func theGradientIsTheSlope(family: ReferenceFamily, experts: Int) {
    let model = family.model(experts: experts, seed: 31)
    let batch = ReferenceBatch(rows: 8, seed: 32)
    let images = batch.images(mean: 0.2859, standardDeviation: 0.3530)
    let labels = batch.labels.map(Int.init)
    let rule: ReferenceRule = experts == 0 ? .single : .expectation
    let gradients = model.step(images, labels, rule: rule).gradients
    let norm = model.trained.reduce(0.0) { $0 + gradients[$1]!.reduce(0) { $0 + $1 * $1 } }
    func loss(_ length: Double) -> Double {
      var moved = model
      for name in model.trained {
        moved.parameters[name] = zip(model.parameters[name]!, gradients[name]!).map { $0 + length * $1 }
      }
      return moved.step(images, labels, rule: rule, training: true).loss
    }
    let slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
    #expect(abs(slope / norm - 1) < 1e-6)
  }
}
