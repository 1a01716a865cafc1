package import MoE

/// A routing that is forced on the exchange and the experts, to see what imbalance costs.
public enum Workload: String, CaseIterable, Sendable {
  /// The experts in turn.
  case balanced
  /// Half of the rows to one expert, the rest in turn.
  case hotExpert = "hot-expert"
  /// Three quarters of the rows to the experts of one rank.
  case hotRank = "hot-rank"
  /// One expert gets no row.
  case idleExpert = "idle-expert"
  /// The experts of one rank get no row.
  case idleRank = "idle-rank"
  /// The experts in turn; rank r holds r + 1 parts of the batch.
  case ragged
  /// A hot expert that is another one in every step.
  case rotating

  /// The expert of a row.
  ///
  /// - Parameters:
  ///   - row: in the batch.
  ///   - step: 0, 1, …
  package func expert(row: Int, step: Int, placement: ExpertPlacement) -> Int {
    let experts = placement.experts
    let hot = placement.expertsOfRank.last { !$0.isEmpty } ?? []
    switch self {
    case .balanced, .ragged: return row % experts
    case .hotExpert: return row % 2 == 0 ? 0 : row / 2 % experts
    case .rotating: return row % 2 == 0 ? step % experts : row / 2 % experts
    case .idleExpert: return experts == 1 ? 0 : 1 + row % (experts - 1)
    case .hotRank: return row % 4 == 0 ? row / 4 % experts : hot[row % hot.count]
    case .idleRank:
      let rest = experts - hot.count
      // The hot rank's experts are numbered last under block placement.
      return rest == 0 ? row % experts : row % rest
    }
  }

  /// The rows that a rank holds.
  package func shard(of rank: Int, ranks: Int, rows: Int) -> Range<Int> {
    guard self == .ragged else { return rank * rows / ranks..<(rank + 1) * rows / ranks }
    // Parts 1, 2, …, N of N(N + 1)/2.
    let all = ranks * (ranks + 1) / 2
    return rows * (rank * (rank + 1) / 2) / all..<rows * ((rank + 1) * (rank + 2) / 2) / all
  }

  /// Why the workload means nothing for a placement; nil where it does.
  package func objection(_ placement: ExpertPlacement) -> String? {
    let owners = placement.expertsOfRank.filter { !$0.isEmpty }.count
    switch self {
    case .balanced: return nil
    case .hotExpert, .idleExpert, .rotating: return placement.experts > 1 ? nil : "needs two experts"
    case .hotRank, .idleRank: return owners > 1 ? nil : "needs experts on two ranks"
    case .ragged: return placement.ranks > 1 ? nil : "needs two ranks"
    }
  }
}
