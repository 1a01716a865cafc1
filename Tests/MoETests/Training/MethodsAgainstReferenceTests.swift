import Testing
import Training

/// Every gate, rule, regulariser and temperature of the Float path, through the real exchange at N = 1, 2 and 3, against
/// the Double reference.
struct MethodsAgainstReferenceTests {
  typealias Case = StepAgainstReferenceTests.Case

  static let gates: [ReferenceGate] = [.softmax, .attentive]
  static let rules: [ReferenceRule] = [
    .expectation, .stochastic, .topK(1, full: true), .topK(2, full: true), .topK(2, full: false),
  ]
  /// Distances of the tests' images are about 32.
  static let regularisers: [(importance: Double, similarity: ReferenceSimilarity?)] = [
    (0, nil), (0.6, nil),
    (0, ReferenceSimilarity(similarity: 4, dissimilarity: 2, scale: .number(32))),
    (0.3, ReferenceSimilarity(similarity: 2e-4, dissimilarity: 0.1, authors: true)),
    (0, ReferenceSimilarity(dissimilarity: 3, squared: true, scale: .batchMaximum)),
  ]
  static let temperatures: [(gate: Double, experts: Double?)] = [(1, nil), (2, nil), (1, 3)]

  /// Gates × rules × regularisers, with every temperature in turn.
  static let mixtures: [Case] = gates.flatMap { gate in
    rules.enumerated().flatMap { r, rule in
      regularisers.enumerated().map { i, regulariser in
        let temperature = temperatures[(r + i) % temperatures.count]
        var test = Case(
          family: .mnist, rule: rule, temperature: temperature.gate, gate: gate,
          expertTemperature: temperature.experts, importance: regulariser.importance,
          similarity: regulariser.similarity)
        // From the common start this one case meets a kink of a ReLU or a pool within its five steps, where Float and
        // Double part; of the seeds 40 to 49 it is the only one that does.
        if gate == .softmax, rule == .stochastic, test.expertTemperature != nil, test.importance == 0.6 {
          test.seed = 45
        }
        return test
      }
    }
  }

  static let others: [Case] = [
    Case(family: .mnist, rule: .expectation, gate: .peeking),
    Case(family: .mnist, rule: .expectation, temperature: 2, gate: .loudest),
    Case(family: .mnist, rule: .expectation, gate: .loss),
    Case(family: .mnist, rule: .expectation, gate: .classes([0, 1, 2, 0, 1, 2, 0, 1, 2, 2])),
    Case(family: .mnist, rule: .expectation, freeze: .gate),
    Case(family: .mnist, rule: .topK(1, full: true), freeze: .experts),
    Case(family: .mnist, rule: .expectation, gate: .attentive, freeze: .gate),
    Case(family: .mnist, rule: .expectation, gate: .attentive, importance: 0.6, freeze: .experts),
    Case(family: .fashionMNIST, rule: .expectation, gate: .attentive, importance: 0.6),
    Case(
      family: .fashionMNIST, rule: .expectation, gatePlacement: .replicated, gate: .attentive, importance: 0.6
    ),
    Case(family: .fashionMNIST, rule: .expectation, freeze: .gate),
    Case(family: .mnist, rule: .expectation, temperature: 2, freeze: .experts, hasTeacher: true),
    Case(family: .fashionMNIST, rule: .expectation, freeze: .experts, hasTeacher: true),
    Case(family: .fashionMNIST, rule: .expectation, gate: .loss),
    Case(family: .mnist, rule: .expectation, experts: 5, rows: 5, gate: .attentive),
    Case(family: .mnist, rule: .topK(1, full: true), experts: 1, gate: .attentive, importance: 0.6),
    Case(
      family: .mnist, rule: .expectation, rows: 1, gate: .attentive, similarity: regularisers[2].similarity),
  ]

  /// Losses of the choice, capacity and noise; capacities so small that rows are dropped, some of them wholly.
  static let choices: [Case] = [
    Case(family: .mnist, rule: .expectation, zLoss: 0.3),
    Case(family: .mnist, rule: .expectation, gatePlacement: .replicated, gate: .attentive, zLoss: 0.3),
    Case(family: .mnist, rule: .stochastic, temperature: 2, expertTemperature: 3, zLoss: 0.3),
    Case(family: .mnist, rule: .topK(1, full: true), importance: 0.2, zLoss: 0.1, loadBalance: 0.4),
    Case(family: .mnist, rule: .topK(2, full: false), gate: .attentive, loadBalance: 0.4),
    Case(family: .fashionMNIST, rule: .topK(2, full: true), gatePlacement: .replicated, loadBalance: 0.4),
    Case(family: .mnist, rule: .topK(1, full: true), capacity: 0.5),
    Case(family: .mnist, rule: .topK(2, full: true), temperature: 2, payload: .index, capacity: 0.6),
    Case(family: .mnist, rule: .topK(2, full: false), gatePlacement: .replicated, capacity: 0.3),
    Case(family: .mnist, rule: .topK(3, full: true), capacity: 0.4),
    // As above, of the seeds 40 to 49 the usual one alone meets a kink.
    Case(family: .mnist, rule: .topK(2, full: false), gate: .attentive, capacity: 0.4, seed: 45),
    Case(family: .mnist, rule: .topK(1, full: true), experts: 5, rows: 3, capacity: 0.1),
    Case(family: .mnist, rule: .topK(1, full: true), noise: 1.5),
    Case(
      family: .mnist, rule: .topK(2, full: false), gatePlacement: .replicated, gate: .attentive, noise: 1.5),
    Case(
      family: .fashionMNIST, rule: .topK(2, full: false), expertTemperature: 3, importance: 0.2, zLoss: 0.1,
      loadBalance: 0.4, capacity: 0.5, noise: 1),
  ]

  @Test(arguments: mixtures + others + choices)
  func stepsAgree(_ test: Case) throws {
    try StepAgainstReferenceTests.expectAgreement(test, ranks: [1, 2, 3])
  }
}
