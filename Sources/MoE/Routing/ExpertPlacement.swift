/// Which rank owns which expert. Where an expert lives changes no result.
public struct ExpertPlacement: Equatable, Sendable {
  /// The rank of every expert.
  public let owners: [Int]
  /// The experts of every rank, ascending.
  public let expertsOfRank: [[Int]]

  /// E
  public var experts: Int { owners.count }
  /// N
  public var ranks: Int { expertsOfRank.count }

  /// - Parameters:
  ///   - owners: the rank of every expert.
  ///   - ranks: N; an owner is below it.
  public init(owners: [Int], ranks: Int) {
    precondition(owners.allSatisfy { (0..<ranks).contains($0) }, "an owner is one of the ranks")
    self.owners = owners
    var lists = [[Int]](repeating: [], count: ranks)
    for (expert, owner) in owners.enumerated() { lists[owner].append(expert) }
    expertsOfRank = lists
  }

  /// Neighbouring experts together, as evenly as they go.
  public static func block(experts: Int, ranks: Int) -> ExpertPlacement {
    let perRank = (0..<ranks).map { ($0 + 1) * experts / ranks - $0 * experts / ranks }
    return ExpertPlacement(
      owners: perRank.enumerated().flatMap { Array(repeating: $0.offset, count: $0.element) }, ranks: ranks)
  }

  /// Expert e on rank e mod N.
  public static func roundRobin(experts: Int, ranks: Int) -> ExpertPlacement {
    ExpertPlacement(owners: (0..<experts).map { $0 % ranks }, ranks: ranks)
  }

  /// So many experts beside the gate that the batch's compute time is shortest, and the rest spread evenly.
  public static func balanced(experts: Int, ranks: Int, load: PlacementLoad) -> ExpertPlacement {
    let first = load.expertsOnFirst(of: experts, ranks: ranks)
    let rest = experts - first
    var owners = [Int](repeating: 0, count: first)
    for other in 0..<max(ranks - 1, 0) where owners.count < experts {
      let count = rest / (ranks - 1) + (other < rest % (ranks - 1) ? 1 : 0)
      owners += [Int](repeating: other + 1, count: count)
    }
    return ExpertPlacement(owners: owners, ranks: ranks)
  }
}
