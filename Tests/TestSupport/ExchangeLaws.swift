public import Dist
internal import KernelInterface
import MoE
internal import Numerics

/// The exchange as linear maps, on small whole numbers, so that every equation is exact.
///
/// Dispatch D takes rows to (expert, row) copies, combine C takes (expert, row) answers to slots, and what is returned
/// goes by C's adjoint. Some slots may be empty: they are in no expert's lists, and C fills them with zeros. The adjoint of D sums a row's copies over its experts, which is the sum of C's slots.
public enum ExchangeLaws {
  static let experts = 5
  /// Values of an answer.
  static let features = 3

  /// Experts per row: one, two, all but one, all; 0 stands for the dense plan without a table.
  public static let slots = [1, 2, 4, 5, 0]
  public static let placements = ["block", "round-robin", "auto"]

  /// What is wrong with the exchange of all ranks; collective.
  public static func problems(_ comm: any Communicator) throws -> [String] {
    try placements.flatMap { placement in
      try slots.flatMap { slots in
        try [false, true].filter { slots > 0 || !$0 }.flatMap { isSparse in
          try check(comm, placement: placement, slots: slots, isSparse: isSparse).map {
            "\($0) (\(placement), \(slots) slots\(isSparse ? ", some empty" : ""))"
          }
        }
      }
    }
  }

  /// A number that looks random and is small.
  private static func number(_ a: Int, _ b: Int, _ c: Int = 0) -> Int {
    var x = UInt64(bitPattern: Int64(a &* 7919 &+ b &* 104_729 &+ c &* 1_299_709 &+ 12_345))
    x ^= x >> 13
    x = x &* 0x9E37_79B9_7F4A_7C15
    x ^= x >> 29
    return Int(x % 17) - 8
  }

  private static func placement(_ text: String, ranks: Int) -> ExpertPlacement {
    switch text {
    case "block": .block(experts: experts, ranks: ranks)
    case "round-robin": .roundRobin(experts: experts, ranks: ranks)
    default:
      .balanced(
        experts: experts, ranks: ranks,
        load: PlacementLoad(
          gateForward: 2, gateBackward: 0, expertForward: 1, expertBackward: 0, overlaps: true))
    }
  }

  /// Whether a slot is empty: a third of them, and both of some rows' two.
  private static func isEmpty(_ row: Int, _ slot: Int) -> Bool { number(row, slot, 5) % 3 == 0 }

  private static func check(
    _ comm: any Communicator, placement text: String, slots: Int, isSparse: Bool
  ) throws -> [String] {
    let placement = placement(text, ranks: comm.size)
    let account = ExchangeAccount(ranks: comm.size)
    let exchange = Exchange(comm, placement: placement, account: account)
    // Ragged shards; every fourth rank has none.
    let rows = comm.rank % 4 == 3 ? 0 : 5 + 12 * (comm.rank % 3)
    let first = 1000 * comm.rank
    let taken = slots == 0 ? experts : slots
    let workspace = Workspace(capacity: 1 << 20)
    let plan: RoutingPlan
    var table: SlotTable?
    if slots == 0 {
      plan = RoutingPlan(dense: rows, placement: placement)
    } else {
      let scores = workspace.map(features: experts, rows: rows)
      for e in 0..<experts { for row in 0..<rows { scores[e][row] = Float(number(first + row, e, 1)) } }
      var chosen = SlotTable(slots: slots, rows: rows)
      TopK(slots).select(scores, into: &chosen)
      for row in 0..<rows {
        for slot in 0..<slots where isSparse && isEmpty(first + row, slot) {
          chosen[row, slot] = SlotTable.empty
        }
      }
      table = chosen
      plan = RoutingPlan(chosen, placement: placement)
    }
    func expert(_ row: Int, _ slot: Int) -> Int { table.map { $0[row, slot] } ?? slot }

    // Dispatch: every row's number arrives at its experts, once per rank, ascending.
    let arrival = try exchange.announce(plan)
    let before = comm.traffic
    let arrived = try exchange.dispatch(plan, to: arrival, rowBytes: 4) { row, target in
      target.storeBytes(of: Int32(first + row), as: Int32.self)
    }
    let sent = comm.traffic.since(before).bytesSent
    let numbers = (0..<arrival.rows.total).map { arrived.load(fromByteOffset: 4 * $0, as: Int32.self) }
    let mine = placement.expertsOfRank[comm.rank]
    let copies = mine.indices.map { local in
      arrival.positions.map { $0[local].map { Int(numbers[Int($0)]) } } ?? numbers.map { Int($0) }
    }
    var problems: [String] = []
    for (local, e) in mine.enumerated() {
      let all = expected(comm, e, slots: slots, isSparse: isSparse)
      if copies[local] != all { problems.append("expert \(e) got rows \(copies[local]), not \(all)") }
    }

    // ⟨C a, s⟩ = ⟨a, Cᵀ s⟩, and ⟨D x, y⟩ = ⟨x, Dᵀ y⟩.
    let answers = mine.enumerated().map { local, e in
      filled(workspace, features: features, rows: copies[local].count) {
        number(copies[local][$1], e, $0 + 2)
      }
    }
    let combined = workspace.map(features: taken * features, rows: rows)
    try exchange.combine(answers, from: arrival, plan, into: combined)
    let gradient = filled(workspace, features: taken * features, rows: rows) { number(first + $1, $0, 9) }
    let returned = answers.map { workspace.map(features: $0.features, rows: $0.rows) }
    try exchange.returnGradients(gradient, plan, to: arrival, into: returned)
    var sums = [product(combined, gradient), 0, 0, 0]
    for (answer, back) in zip(answers, returned) { sums[1] += product(answer, back) }
    for local in mine.indices {
      for row in copies[local].indices {
        sums[2] += number(copies[local][row], 77) * Int(answers[local][0][row])
      }
    }
    let summed = workspace.map(features: features, rows: rows)
    try exchange.dispatchAdjoint(answers, from: arrival, plan, into: summed, in: workspace)
    for row in 0..<rows { sums[3] += number(first + row, 77) * Int(summed[0][row]) }
    // C is a permutation: every slot holds the answer of its own expert for its own row.
    for row in 0..<rows {
      for slot in 0..<taken {
        let expert = expert(row, slot)
        for f in 0..<features {
          let answer = expert < 0 ? 0 : number(first + row, expert, f + 2)
          if combined[slot * features + f][row] != Float(answer) {
            problems.append("slot \(slot) of row \(row) holds another answer")
          }
        }
      }
    }
    problems += accountProblems(comm, account, placement, slots: slots, isSparse: isSparse, sent: sent)
    let all = try comm.allGather(sums)
    let totals = (0..<4).map { item in (0..<comm.size).reduce(0) { $0 + all[$1 * 4 + item] } }
    if totals[0] != totals[1] { problems.append("<C a, s> = \(totals[0]) but <a, C's> = \(totals[1])") }
    if totals[2] != totals[3] { problems.append("<D x, y> = \(totals[2]) but <x, D'y> = \(totals[3])") }
    return problems
  }

  /// What is wrong with the account of one dispatch and one combine; their adjoints are not in it.
  private static func accountProblems(
    _ comm: any Communicator, _ account: ExchangeAccount, _ placement: ExpertPlacement, slots: Int,
    isSparse: Bool, sent: Int
  ) -> [String] {
    let ranks = Array(0..<comm.size)
    /// The rows of a rank's shard that each expert of another takes.
    func rows(of shard: Int, on rank: Int) -> [[Int]] {
      placement.expertsOfRank[rank].map { e in
        expected(comm, e, slots: slots, isSparse: isSparse).filter { $0 / 1000 == shard }
      }
    }
    let me = comm.rank
    let dispatched = ranks.map { Set(rows(of: me, on: $0).joined()).count }
    let combined = ranks.map { rows(of: $0, on: me).reduce(0) { $0 + $1.count } }
    func bytes(_ rows: [Int], _ each: Int) -> [Int] { ranks.map { $0 == me ? 0 : each * rows[$0] } }
    let found = account.counts
    var problems: [String] = []
    if found.dispatched.rows != dispatched || found.dispatched.bytes != bytes(dispatched, 4) {
      problems.append("dispatched \(found.dispatched), not \(dispatched) rows")
    }
    if found.combined.rows != combined || found.combined.bytes != bytes(combined, 4 * features) {
      problems.append("combined \(found.combined), not \(combined) answers")
    }
    if bytes(dispatched, 4).reduce(0, +) != sent { problems.append("\(sent) bytes were dispatched") }
    return problems
  }

  /// The rows that an expert should get, of all shards, ascending.
  private static func expected(_ comm: any Communicator, _ e: Int, slots: Int, isSparse: Bool) -> [Int] {
    (0..<comm.size).flatMap { rank -> [Int] in
      let rows = rank % 4 == 3 ? 0 : 5 + 12 * (rank % 3)
      return (0..<rows).map { 1000 * rank + $0 }.filter { row in
        guard slots > 0 else { return true }
        // Chosen unless that many others come first: a larger score, or an equal one of a lower number.
        func isChosen(_ e: Int) -> Bool {
          let own = number(row, e, 1)
          return (0..<experts).count { other in
            let score = number(row, other, 1)
            return score > own || (score == own && other < e)
          } < slots
        }
        let slot = (0..<e).count { isChosen($0) }
        return isChosen(e) && !(isSparse && isEmpty(row, slot))
      }
    }
  }

  private static func filled(
    _ workspace: Workspace, features: Int, rows: Int, _ value: (Int, Int) -> Int
  ) -> FeatureMap {
    let map = workspace.map(features: features, rows: rows)
    for f in 0..<features { for row in 0..<rows { map[f][row] = Float(value(f, row)) } }
    return map
  }

  private static func product(_ a: FeatureMap, _ b: FeatureMap) -> Int {
    (0..<a.features).reduce(0) { sum, f in
      (0..<a.rows).reduce(sum) { $0 + Int(a[f][$1]) * Int(b[f][$1]) }
    }
  }
}
