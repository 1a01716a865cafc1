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
    expertsOfRank = (0..<ranks).map { rank in owners.indices.filter { owners[$0] == rank } }
  }

  /// Reads `auto`, `block`, `round-robin` or a list of ranks, one per expert.
  ///
  /// `auto` gives every expert to the rank that has the least work so far, where rank 0 begins with the gate's.
  /// - Parameters:
  ///   - gateWork: FLOPs of the gate per row.
  ///   - expertWork: FLOPs of one expert per row of the batch, on average.
  /// - Throws: ``Failure`` with the exit code for wrong usage.
  public init(_ text: String, experts: Int, ranks: Int, gateWork: Int, expertWork: Int) throws(Failure) {
    switch text {
    case "block":
      let perRank = (0..<ranks).map { ($0 + 1) * experts / ranks - $0 * experts / ranks }
      self.init(
        owners: perRank.enumerated().flatMap { Array(repeating: $0.offset, count: $0.element) }, ranks: ranks)
    case "round-robin":
      self.init(owners: (0..<experts).map { $0 % ranks }, ranks: ranks)
    case "auto":
      var load = [Int](repeating: 0, count: ranks)
      load[0] = gateWork
      var owners: [Int] = []
      for _ in 0..<experts {
        let least = load.indices.min { load[$0] < load[$1] } ?? 0
        owners.append(least)
        load[least] += expertWork
      }
      self.init(owners: owners.sorted(), ranks: ranks)
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
