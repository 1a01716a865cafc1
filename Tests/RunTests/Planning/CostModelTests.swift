import DataSets
import Dist
import Files
import MoE
import Networks
import Planning
import Records
import Testing
import Training

/// The cost model and the placement against formulas and brute force.
struct CostModelTests {
  // MARK: Fits

  @Test func messageCostsAreRecoveredPieceByPiece() throws {
    let pieces = [
      MessageCost.Piece(limit: 4096, latency: 1e-6, secondsPerByte: 2e-10),
      MessageCost.Piece(limit: 32_768, latency: 3e-6, secondsPerByte: 1.5e-10),
      MessageCost.Piece(limit: .max, latency: 9e-6, secondsPerByte: 1e-10),
    ]
    let exact = MessageCost(pieces: pieces)
    let fitted = MessageCost(
      fitting: ExchangeBenchmark.sizes.map { ($0, exact.seconds(bytes: Double($0))) })
    #expect(fitted.pieces.map(\.limit) == [4096, 32_768, .max])
    for (found, given) in zip(fitted.pieces, pieces) {
      #expect(abs(found.latency / given.latency - 1) < 1e-6)
      #expect(abs(found.secondsPerByte / given.secondsPerByte - 1) < 1e-6)
    }
  }

  @Test func noCostIsNegative() {
    // Falling times would have a negative β, a line through the origin from below a negative α.
    let falling = MessageCost(fitting: [(8, 2e-6), (64, 1e-6), (4096, 1e-6)])
    let steep = MessageCost(fitting: [(8, 1e-9), (64, 1e-6), (4096, 1e-3)])
    for piece in falling.pieces + steep.pieces {
      #expect(piece.latency >= 0 && piece.secondsPerByte >= 0)
    }
    #expect(falling.pieces[0].secondsPerByte == 0)
    #expect(steep.pieces[0].latency == 0)
  }

  @Test func linearCostsGoThroughBothMeasurements() {
    let given = LinearCost(perCall: 3e-5, perUnit: 2e-6)
    func sample(_ calls: Double, _ units: Double) -> LinearCost.Sample {
      .init(calls: calls, units: units, seconds: given.seconds(calls: calls, units: units))
    }
    let pairs: [[Double]] = [[1, 64, 4, 512], [5, 640, 5, 2560]]
    for pair in pairs {
      let found = LinearCost(small: sample(pair[0], pair[1]), large: sample(pair[2], pair[3]))
      #expect(abs(found.perCall / given.perCall - 1) < 1e-9)
      #expect(abs(found.perUnit / given.perUnit - 1) < 1e-9)
    }
    // A cost that grows faster than its units has no negative constant.
    let steep = LinearCost(
      small: .init(calls: 1, units: 10, seconds: 1), large: .init(calls: 1, units: 20, seconds: 4))
    #expect(steep == LinearCost(perUnit: 0.2))
  }

  @Test func costsReadBackWhatTheyWrite() throws {
    var costs = StepCosts(StepCosts.Subject(try outline("mnist", ["similarity": "0.1"])))
    costs.gateForward = LinearCost(perCall: 1.0 / 3, perUnit: 1e-17)
    costs.optimiser = LinearCost(perUnit: 2.0 / 7)
    #expect(StepCosts(try JSONValue(parsing: costs.json.text())) == costs)
    let cost = MessageCost(fitting: [(8, 1e-6), (64, 1.1e-6), (8192, 3e-6), (16_384, 5e-6)])
    #expect(MessageCost(try JSONValue(parsing: cost.json.text())) == cost)
    #expect(MessageCost(try JSONValue(parsing: #"[{"alpha_seconds":-1,"beta_seconds_per_byte":0}]"#)) == nil)
  }

  // MARK: Placement

  /// Every way to give experts to ranks, as counts per rank.
  private func counts(_ experts: Int, _ ranks: Int) -> [[Int]] {
    if ranks == 1 { return [[experts]] }
    return (0...experts).flatMap { first in counts(experts - first, ranks - 1).map { [first] + $0 } }
  }

  @Test func automaticPlacementIsTheBestOfAll() throws {
    let gates: [[Double]] = [[0, 0], [1, 2], [7, 1], [0.3, 0.4], [40, 90]]
    for gate in gates {
      for overlaps in [true, false] {
        let load = PlacementLoad(
          gateForward: gate[0], gateBackward: gate[1], expertForward: 1.1, expertBackward: 2.3,
          overlaps: overlaps)
        for experts in 1...7 {
          for ranks in 1...4 {
            let spans = counts(experts, ranks).map { (counts: [Int]) -> Double in
              load.span(first: counts[0], other: counts.dropFirst().max() ?? 0)
            }
            let best = try #require(spans.min())
            let placement = try ExpertPlacement("auto", experts: experts, ranks: ranks, load: load)
            let found = placement.expertsOfRank.map(\.count)
            #expect(found.reduce(0, +) == experts)
            #expect(placement.owners == placement.owners.sorted())
            let span = load.span(first: found[0], other: found.dropFirst().max() ?? 0)
            let words: Comment =
              "\(experts) experts, \(ranks) ranks, gate \(gate), overlaps \(overlaps): \(found)"
            #expect(abs(span - best) < 1e-12, words)
          }
        }
      }
    }
  }

  @Test func theBoundIsThatOfTheBestPlacement() {
    let gates: [Double] = [0, 0.5, 3, 20]
    for gate in gates {
      let load = PlacementLoad(
        gateForward: gate, gateBackward: 2 * gate, expertForward: 1, expertBackward: 2, overlaps: true)
      for experts in 1...7 {
        for ranks in 1...4 {
          let largest = counts(experts, ranks).map { (counts: [Int]) -> Double in
            let first = gate + Double(counts[0])
            return 3 * max(first, Double(counts.dropFirst().max() ?? 0))
          }
          let least = largest.min() ?? 0
          let whole = 3 * (gate + Double(experts))
          let bound = load.bound(experts: experts, ranks: ranks)
          #expect(abs(bound * least - whole) < 1e-9)
        }
      }
    }
  }

  @Test func aSingleExpertWithoutGateStaysOnRank0() throws {
    let load = PlacementLoad(
      gateForward: 0, gateBackward: 0, expertForward: 1, expertBackward: 2, overlaps: true)
    #expect(try ExpertPlacement("auto", experts: 1, ranks: 3, load: load).owners == [0])
  }

  /// The figures that are published for the paper's networks, of forward FLOPs: N = 2 and N → ∞, and top-1 for N → ∞.
  @Test(arguments: ["mnist", "fashion-mnist", "cifar-100"])
  func publishedBounds(_ dataset: String) throws {
    let published: [String: [Double]] = [
      "mnist": [1.86, 2.16, 1.23], "fashion-mnist": [1.13, 1.13, 1.03], "cifar-100": [1.96, 2.58, 1.08],
    ]
    let figures = try #require(published[dataset])
    let (two, many, topOne) = (figures[0], figures[1], figures[2])
    func forward(_ outline: ModelOutline) -> PlacementLoad {
      let load = outline.flopLoad
      return PlacementLoad(
        gateForward: load.gateForward, gateBackward: 0, expertForward: load.expertForward, expertBackward: 0,
        overlaps: load.overlaps)
    }
    let dense = try outline(dataset)
    let onTwo = forward(dense).bound(experts: dense.experts, ranks: 2)
    let onMany = forward(dense).bound(experts: dense.experts, ranks: 1000)
    #expect(abs(onTwo - two) < 0.011)
    #expect(abs(onMany - many) < 0.011)
    let sparse = try outline(dataset, ["combine": "top-k", "top-k": "1"])
    let load = forward(sparse)
    // One expert per row: all rows' work is that of one whole expert, spread over ranks without end.
    let whole = load.gateForward + Double(sparse.experts) * load.expertForward
    #expect(abs(whole / load.gateForward - topOne) < 0.011)
  }

  // MARK: Plan

  private func outline(_ dataset: String, _ settings: [String: String] = [:]) throws -> ModelOutline {
    let entries = [("dataset", dataset)] + settings.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    let configuration = try Configuration.resolve([
      ConfigurationLayer(commandLine: entries.map { (key: $0.0, text: $0.1) })
    ]).configuration
    let size = try #require(try DataSetRegistry.source(named: dataset).publishedSize)
    return try ModelOutline(configuration, size: size)
  }

  /// Costs of a machine that does a FLOP in 10 ps and nothing else takes time.
  private func flopCosts(_ outline: ModelOutline) -> StepCosts {
    let flop = 1e-11
    var costs = StepCosts(StepCosts.Subject(outline))
    costs.gateForward = LinearCost(perUnit: flop * Double(outline.gateSize.forwardFlops))
    costs.gateBackward = LinearCost(perUnit: flop * Double(outline.gateSize.backwardFlops))
    costs.expertForward = LinearCost(perUnit: flop * Double(outline.expertSpec.forwardFlops))
    costs.expertBackward = LinearCost(perUnit: flop * Double(outline.expertSpec.backwardFlops))
    return costs
  }

  private let free = Links(
    within: MessageCost(latency: 0, bandwidth: .infinity),
    between: MessageCost(latency: 0, bandwidth: .infinity), ranksPerHost: nil)

  private func plan(
    _ outline: ModelOutline, ranks: Int, links: Links? = nil
  ) throws -> ClusterPlan {
    try ClusterPlan(
      PlanRequest(
        outline: outline, costs: flopCosts(outline), links: links ?? free, sources: [], ranks: ranks,
        placement: "auto"))
  }

  @Test func withoutLinksOneRankTakesItsFlops() throws {
    let outline = try outline("mnist")
    let found = try plan(outline, ranks: 1).choices[0].prediction
    let flops = Double(outline.gateFlops + 5 * outline.expertFlops)
    let expected = 1e-11 * 512 * flops
    #expect(abs(found.step / expected - 1) < 1e-9)
    #expect(found.first[Phase.waiting.index] == 0)
  }

  @Test func everyRankIsBusyOrWaitsForTheSameTime() throws {
    let all: [[String: String]] = [[:], ["combine": "top-k"], ["gate": "attentive"]]
    for settings in all {
      let outline = try outline("mnist", settings)
      for ranks in [2, 3, 9] {
        for choice in try plan(outline, ranks: ranks).choices {
          let sums = [choice.prediction.first, choice.prediction.other].map { $0.reduce(0, +) }
          #expect(abs(sums[0] / sums[1] - 1) < 1e-9)
          #expect(choice.speedUp <= choice.bound + 1e-9)
        }
      }
    }
  }

  @Test func aReplicatedGateWithFreeLinksScalesToItsBlocks() throws {
    let outline = try outline("fashion-mnist")
    let plan = try plan(outline, ranks: 4)
    let replicated = try #require(plan.choices.first { $0.gate == .replicated })
    // Four blocks on four ranks: a quarter of the gate each, and two of five experts on the fullest.
    let gate = Double(outline.gateFlops) / 4
    let whole = Double(outline.gateFlops + 5 * outline.expertFlops)
    let expected = whole / (gate + 2 * Double(outline.expertFlops))
    #expect(abs(replicated.speedUp - expected) < 1e-9)
    #expect(plan.recommended.gate == .replicated)
    #expect(try self.plan(outline, ranks: 1000).text().contains("computed by 4 ranks"))
  }

  /// With messages that cost α whatever their size, four ranks gather in two rounds and reduce in a ring of 2 · 3 messages.
  /// BatchNorm in every convolution is a vector per pass; a first convolution gathers its gradient, normalised or not.
  @Test(arguments: [("mnist", 0, 1), ("fashion-mnist", 1, 1), ("cifar-100", 2, 2)])
  func aReplicatedGatePaysForItsSums(dataset: String, forward: Int, backward: Int) throws {
    let alpha = 1e-3
    let outline = try outline(dataset)
    #expect(outline.gateNetwork!.convolutions.filter(\.batchNorm).count == forward)
    let message = MessageCost(latency: alpha, bandwidth: .infinity)
    let links = Links(within: message, between: message, ranksPerHost: nil)
    func phases(_ links: Links) -> [Double] {
      StepModel(outline, flopCosts(outline), links).predict(ranks: 4, gate: .replicated).first
    }
    let difference = zip(phases(links), phases(free)).map { $0 - $1 }
    let blocks = min(outline.blocks, 4)
    #expect(abs(difference[Phase.gate.index] - alpha * Double(2 * forward)) < 1e-9)
    #expect(
      abs(difference[Phase.gateBackward.index] - alpha * Double(2 * backward + 2 * (blocks - 1))) < 1e-9)
  }

  @Test func slowLinksKeepTheModelOnOneRank() throws {
    let slow = MessageCost(latency: 1, bandwidth: 1e3)
    let outline = try outline("mnist")
    let found = try plan(outline, ranks: 8, links: Links(within: slow, between: slow, ranksPerHost: 2))
    #expect(found.recommended.ranks == 1)
  }

  @Test func aHundredThousandRanksTakeNoTime() throws {
    let outline = try outline("mnist", ["experts": "4096", "batch-size": "1000000"])
    let link = MessageCost(latency: 1e-6, bandwidth: 1e10)
    let begin = ContinuousClock.now
    let found = try plan(
      outline, ranks: 100_000, links: Links(within: link, between: link, ranksPerHost: 64))
    let text = found.text()
    let json = found.json.text()
    #expect(ContinuousClock.now - begin < .seconds(1))
    #expect(text.split(separator: "\n").count < 120)
    #expect(json.utf8.count < 200_000)
    for choice in found.choices {
      let groups = found.groups(choice)
      #expect(groups.reduce(0) { $0 + $1.ranks.count } == 100_000)
      #expect(groups.reduce(0) { $0 + $1.ranks.count * $1.experts } == 4096)
    }
  }

  @Test func aPlanSaysTheSameTwice() throws {
    let outline = try outline("cifar-100")
    #expect(try plan(outline, ranks: 7).json == plan(outline, ranks: 7).json)
    let json = try plan(outline, ranks: 7).json
    for key in ["plans", "scaling", "recommended", "link_within", "blocks", "sources"] {
      #expect(json[key] != nil, "\(key)")
    }
  }

  @Test func costsOfAnotherModelAreRefused() throws {
    let costs = flopCosts(try outline("mnist"))
    #expect(throws: Failure.self) { try costs.fitted(to: outline("fashion-mnist")) }
    #expect(throws: Failure.self) { try costs.fitted(to: outline("mnist", ["gate": "attentive"])) }
    // The gate's output layer grows with the experts, and its costs with it.
    let more = try outline("mnist", ["experts": "50"])
    let fitted = try costs.fitted(to: more)
    let growth = Double(more.gateFlops) / Double(try outline("mnist").gateFlops)
    let expected = costs.gateForward.perUnit * growth
    #expect(abs(fitted.gateForward.perUnit / expected - 1) < 1e-12)
  }

  // MARK: Workloads

  @Test func workloadsGiveRowsAsTheirNamesSay() throws {
    let load = PlacementLoad(
      gateForward: 0, gateBackward: 0, expertForward: 1, expertBackward: 0, overlaps: true)
    let placement = try ExpertPlacement("block", experts: 6, ranks: 3, load: load)
    func rows(_ workload: Workload, step: Int = 0) -> [Int] {
      var counts = [Int](repeating: 0, count: 6)
      for row in 0..<960 { counts[workload.expert(row: row, step: step, placement: placement)] += 1 }
      return counts
    }
    #expect(rows(.balanced) == Array(repeating: 160, count: 6))
    #expect(rows(.hotExpert) == [560, 80, 80, 80, 80, 80])
    #expect(rows(.rotating, step: 2) == [80, 80, 560, 80, 80, 80])
    #expect(rows(.idleExpert)[0] == 0)
    #expect(rows(.idleExpert).reduce(0, +) == 960)
    #expect(rows(.idleRank) == [240, 240, 240, 240, 0, 0])
    let hot = rows(.hotRank)[4...].reduce(0, +)
    #expect(hot == 800)
    for workload in Workload.allCases {
      let shards = (0..<3).map { workload.shard(of: $0, ranks: 3, rows: 960) }
      #expect(shards.first?.lowerBound == 0 && shards.last?.upperBound == 960)
      #expect(shards[0].upperBound == shards[1].lowerBound)
      #expect(shards[1].upperBound == shards[2].lowerBound)
      let sizes: [Int] = workload == .ragged ? [160, 320, 480] : [320, 320, 320]
      #expect(shards.map(\.count) == sizes)
    }
  }

  @Test func quantilesAreThoseOfTheSortedValues() {
    let found = Quantiles((0...10).map { Double(10 - $0) })
    #expect(found.median == 5 && found.p10 == 1 && found.p90 == 9)
  }
}
