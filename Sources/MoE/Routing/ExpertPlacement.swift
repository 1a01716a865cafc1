/// Which rank owns which expert. Where an expert lives changes no result.
public struct ExpertPlacement: Equatable, Sendable {
  /// The rank of every expert.
  public let owners: [Int]
  /// The experts of every rank, ascending.
  public let expertsOfRank: [[Int]]

  public var experts: Int { owners.count }
  public var ranks: Int { expertsOfRank.count }

  public init(owners: [Int], ranks: Int) {
    precondition(owners.allSatisfy { (0..<ranks).contains($0) }, "an owner is one of the ranks")
    self.owners = owners
    var lists = [[Int]](repeating: [], count: ranks)
    for (expert, owner) in owners.enumerated() { lists[owner].append(expert) }
    expertsOfRank = lists
  }

  /// Reads `auto`, `block`, `round-robin` or a list of ranks, one per expert.
  ///
  /// `auto` puts so many experts beside the gate that the batch's compute time is shortest, and spreads the rest evenly.
  /// - Parameter load: the work of gate and experts, for `auto`.
  /// - Throws: ``Failure`` with the exit code for wrong usage.
  public init(_ text: String, experts: Int, ranks: Int, load: PlacementLoad) throws(Failure) {
    switch text {
    case "block":
      let perRank = (0..<ranks).map { ($0 + 1) * experts / ranks - $0 * experts / ranks }
      self.init(
        owners: perRank.enumerated().flatMap { Array(repeating: $0.offset, count: $0.element) }, ranks: ranks)
    case "round-robin":
      self.init(owners: (0..<experts).map { $0 % ranks }, ranks: ranks)
    case "auto":
      let first = load.expertsOnFirst(of: experts, ranks: ranks)
      let rest = experts - first
      var owners = [Int](repeating: 0, count: first)
      for other in 0..<max(ranks - 1, 0) where owners.count < experts {
        let count = rest / (ranks - 1) + (other < rest % (ranks - 1) ? 1 : 0)
        owners += [Int](repeating: other + 1, count: count)
      }
      self.init(owners: owners, ranks: ranks)
    default:
      let parts = text.split(separator: ",", omittingEmptySubsequences: false)
      let owners = parts.compactMap { Int($0) }
      guard owners.count == parts.count, owners.count == experts else {
        throw Failure(
          .usage,
          "placement '\(text)' is not auto, block, round-robin or a list of \(experts) ranks such as "
            + "'\((0..<experts).map { String($0 % ranks) }.joined(separator: ","))'")
      }
      guard owners.allSatisfy({ (0..<ranks).contains($0) }) else {
        throw Failure(
          .usage, "placement '\(text)' names a rank outside 0 … \(ranks - 1); start more ranks or name fewer")
      }
      self.init(owners: owners, ranks: ranks)
    }
  }
}
