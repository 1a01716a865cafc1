public import Files
public import MoE

extension ExpertPlacement {
  /// Reads `auto`, `block`, `round-robin` or a list of ranks, one per expert.
  ///
  /// - Parameter load: the work of gate and experts, for `auto`.
  /// - Throws: ``Failure`` with the exit code for wrong usage.
  public init(_ text: String, experts: Int, ranks: Int, load: PlacementLoad) throws(Failure) {
    switch text {
    case "block": self = .block(experts: experts, ranks: ranks)
    case "round-robin": self = .roundRobin(experts: experts, ranks: ranks)
    case "auto": self = .balanced(experts: experts, ranks: ranks, load: load)
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
