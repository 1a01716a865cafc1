import Glibc
import KernelInterface
import MoE
import Numerics
import Testing

/// The losses of the gate's choice: values against their formulas in Double, gradients against central differences of these.
struct RoutingLossTests {
  static let rows = 83
  static let experts = 5

  /// Values and gradient of losses of some scores.
  private static func run(
    _ list: [any RoutingLoss], _ scores: [[Double]], noise: [[Double]]? = nil, temperature: Float = 1,
    selection: any Selection = AllExperts(), blockRows: Int = 16
  ) -> (values: [NamedValue], gradient: [[Double]]) {
    let workspace = Workspace()
    let (rows, experts) = (scores.count, scores[0].count)
    let clean = map(experts, rows, in: workspace) { Float(scores[$1][$0]) }
    let used = noise.map { noise in
      map(experts, rows, in: workspace) { Float(scores[$1][$0] + noise[$1][$0]) }
    }
    let losses = RoutingLosses(list, temperature: temperature)
    let both = RoutingScores(clean: clean, used: used ?? clean)
    let ofRows = workspace.map(features: experts, rows: rows)
    let ofBatch = workspace.map(features: experts, rows: rows)
    let perBlock = losses.ofRows(
      both, blocks: blocks(of: rows, each: blockRows), batchRows: rows,
      select: { selection.table(of: both.used) },
      into: ofRows)
    let values = losses.ofBatch(
      both, inputs: [], select: { selection.table(of: both.used) }, into: ofBatch)
    let sums = BlockTree.sum(perBlock)
    let gradient = zip(MoETests.rows(ofRows), MoETests.rows(ofBatch)).map { zip($0, $1).map { $0 + $1 } }
    return (losses.values(rowSums: sums, batchValues: values), gradient)
  }

  private static func probabilities(_ scores: [[Double]], _ temperature: Double) -> [[Double]] {
    scores.map { logSoftmax($0.map { $0 / temperature }).map { exp($0) } }
  }

  @Test(arguments: [0.1, 3, 60])
  func zLossIsTheMeanOfSquaredLogarithms(scale: Double) {
    let scores = randomScores(rows: Self.rows, experts: Self.experts, seed: 3, scale: scale)
    func value(_ scores: [[Double]]) -> Double {
      scores.reduce(0) { $0 + pow(log($1.reduce(0) { $0 + exp($1) }), 2) } / Double(scores.count)
    }
    let (values, gradient) = Self.run([RouterZLoss(weight: 0.5)], scores)
    #expect(values.map(\.name) == ["z_loss"])
    #expect(relativeDifference([values[0].reported], [value(scores)]) < 1e-6)
    #expect(values[0].weighted == 0.5 * values[0].reported)
    #expect(worstDifference(gradient, scores) { 0.5 * value($0) } < 1e-6 * max(scale, 1))
  }

  @Test func zLossIsOfScoresBeforeNoiseAndTemperature() {
    let scores = randomScores(rows: 20, experts: 3, seed: 4)
    let noise = randomScores(rows: 20, experts: 3, seed: 5)
    let plain = Self.run([RouterZLoss(weight: 1)], scores)
    let noisy = Self.run([RouterZLoss(weight: 1)], scores, noise: noise, temperature: 2)
    #expect(plain.values == noisy.values && plain.gradient == noisy.gradient)
  }

  /// Equal scores s of E experts: (s + ln E)², and a slope of 2 (s + ln E)/(E B).
  @Test func zLossOfEqualScores() {
    let (values, gradient) = Self.run([RouterZLoss(weight: 1)], Array(repeating: [2, 2, 2, 2], count: 10))
    let l = 2 + log(4.0)
    #expect(abs(values[0].reported - l * l) < 1e-5)
    #expect(gradient.joined().allSatisfy { abs($0 - 2 * l / 40) < 1e-7 })
  }

  @Test(arguments: [1, 2, 4], [Float(1), 2])
  func loadBalanceIsSharesTimesMeans(k: Int, temperature: Float) {
    let scores = randomScores(rows: Self.rows, experts: Self.experts, seed: 6)
    // Shares have no gradient: those of the scores as they are.
    let rule = ReferenceRule.topK(k, full: true)
    let shares = (0..<Self.experts).map { e in
      Double(scores.count { rule.selected($0).contains(e) }) / Double(k * scores.count)
    }
    func value(_ scores: [[Double]]) -> Double {
      let p = Self.probabilities(scores, Double(temperature))
      let sums = (0..<Self.experts).map { e in p.reduce(0.0) { $0 + $1[e] } }
      return 5 * zip(shares, sums).reduce(0.0) { $0 + $1.0 * $1.1 } / 83
    }
    let (values, gradient) = Self.run(
      [LoadBalanceLoss(weight: 2)], scores, temperature: temperature, selection: TopK(k))
    #expect(values.map(\.name) == ["load_balance_loss"])
    #expect(relativeDifference([values[0].reported], [value(scores)]) < 1e-6)
    #expect(relativeDifference([values[0].weighted], [2 * value(scores)]) < 1e-6)
    #expect(worstDifference(gradient, scores) { 2 * value($0) } < 1e-7)
  }

  /// What capacity takes away is still a choice; noise is part of it.
  @Test func loadBalanceIsOfTheChoiceBeforeCapacity() {
    let scores = randomScores(rows: 40, experts: 4, seed: 7)
    let noise = randomScores(rows: 40, experts: 4, seed: 8)
    let noisy = zip(scores, noise).map { zip($0, $1).map { Double(Float($0 + $1)) } }
    let capacity = Capacity(TopK(2), factor: 0.3)
    let found = Self.run([LoadBalanceLoss(weight: 1)], scores, noise: noise, selection: capacity.dropless)
    let expected = Self.run([LoadBalanceLoss(weight: 1)], noisy, selection: TopK(2))
    #expect(found.values == expected.values && found.gradient == expected.gradient)
  }

  @Test func evenUseIsOne() {
    let scores = (0..<6).map { row in (0..<3).map { $0 == row % 3 ? 1.0 : 0 } }
    let (values, gradient) = Self.run([LoadBalanceLoss(weight: 1)], scores, selection: TopK(1))
    #expect(abs(values[0].reported - 1) < 1e-6)
    #expect(gradient.joined().allSatisfy { abs($0) < 1e-8 })
  }

  /// Whatever their scopes, losses are reported in the order of the list, and their gradients add up.
  @Test func lossesAddUp() {
    let scores = randomScores(rows: Self.rows, experts: Self.experts, seed: 9)
    let each: [any RoutingLoss] = [
      RouterZLoss(weight: 0.1), ImportanceLoss(weight: 0.3), LoadBalanceLoss(weight: 0.2),
    ]
    let together = Self.run(each, scores, temperature: 2, selection: TopK(2))
    let apart = each.map { Self.run([$0], scores, temperature: 2, selection: TopK(2)) }
    #expect(together.values == apart.flatMap(\.values))
    #expect(together.values.map(\.name) == ["z_loss", "importance_loss", "load_balance_loss"])
    #expect(together.values.total == together.values.reduce(0) { $0 + $1.weighted })
    let sums = scores.indices.map { row in
      (0..<Self.experts).map { e in apart.reduce(0) { $0 + $1.gradient[row][e] } }
    }
    #expect(relativeDifference(together.gradient.flatMap { $0 }, sums.flatMap { $0 }) < 1e-6)
  }

  /// Gradients of rows do not depend on the blocks; their names say which keys of the record they are.
  @Test func blocksChangeNoGradient() {
    let scores = randomScores(rows: Self.rows, experts: Self.experts, seed: 10)
    let whole = Self.run([RouterZLoss(weight: 1)], scores, blockRows: Self.rows)
    for blockRows in [1, 7, 16, 32] {
      let cut = Self.run([RouterZLoss(weight: 1)], scores, blockRows: blockRows)
      #expect(cut.gradient == whole.gradient)
      #expect(relativeDifference([cut.values[0].reported], [whole.values[0].reported]) < 1e-14)
    }
  }
}
