package import DataSets
package import Dist
package import Files
package import MoE
internal import Records

/// What a rank will take, and what it has.
package struct RankMemory: Equatable, Sendable {
  package var host: String
  /// Bytes that will be allocated.
  package var needed: Int
  /// Bytes of address space that come on top: threads' stacks and heaps.
  package var reserved: Int
  package var available: AvailableMemory

  package init(host: String, needed: Int, reserved: Int, available: AvailableMemory) {
    self.host = host
    self.needed = needed
    self.reserved = reserved
    self.available = available
  }

  /// What too little memory says in one line, without what to do about it; nil where there is enough.
  ///
  /// - Parameters:
  ///   - together: bytes of the ranks that share this rank's control group, and how many they are.
  ///   - onHost: of those that share its host.
  package func shortage(together: (bytes: Int, ranks: Int), onHost: (bytes: Int, ranks: Int)) -> String? {
    func words(_ need: (bytes: Int, ranks: Int), _ room: AvailableMemory.Room?) -> String? {
      guard let room, need.bytes > room.bytes else { return nil }
      let who = need.ranks > 1 ? " for \(need.ranks) ranks" : ""
      return
        "about \(bytesText(need.bytes)) of memory are needed\(who), and \(bytesText(room.bytes)) are left (\(room.words))"
    }
    return words((saturatingSum(needed, reserved), 1), available.ofProcess)
      ?? words(together, available.ofGroup) ?? words(onHost, available.ofHost)
  }
}

extension Configuration {
  /// Refuses a model that does not fit into the memory of some rank, before anything is allocated for it. Collective.
  ///
  /// - Parameters:
  ///   - size: of the data; steps have at most so many rows as there are training samples.
  ///   - hasData: whether the data is in memory already.
  ///   - training: whether it is trained; otherwise batches are those of an evaluation.
  ///   - load: as for the model's parts.
  /// - Throws: ``AgreedError`` for wrong usage: what is needed, what there is, and which settings help.
  package func checkMemory(
    size: DataSetSize, hasData: Bool, training: Bool = true, load: PlacementLoad? = nil,
    over communicator: any Communicator
  ) throws {
    var configuration = self
    if !training { configuration.batchSize = min(batchSize, ModelSession.evaluationRows) }
    let outline: ModelOutline
    let counts: [Int]
    do {
      outline = try ModelOutline(configuration, size: size)
      counts = try ExpertPlacement(
        placement, experts: outline.experts, ranks: communicator.size, load: load ?? outline.flopLoad
      ).expertsOfRank.map(\.count)
    } catch {
      // It follows from what all ranks have alike.
      throw AgreedError(error)
    }
    func needed(_ outline: ModelOutline, _ experts: Int, rank: Int) -> Int {
      let all = outline.memory(
        experts: experts, gate: rank == 0 || gatePlacement == .replicated, training: training)
      return hasData ? all - outline.dataBytes : all
    }
    let rank = communicator.rank
    let available = AvailableMemory.now()
    let mine = RankMemory(
      host: communicator.hostName, needed: needed(outline, counts[rank], rank: rank),
      reserved: available.reserved(threads: threads - 1), available: available)
    let hosts = try communicator.allGather(text: mine.host)
    let groups = try communicator.allGather(text: available.group)
    let bytes = try communicator.allGather([mine.needed])
    func sum(where isShared: (Int) -> Bool) -> (bytes: Int, ranks: Int) {
      let sharing = bytes.indices.filter(isShared)
      return (sharing.reduce(0) { saturatingSum($0, bytes[$1]) }, sharing.count)
    }
    var failure: Failure?
    if let shortage = mine.shortage(
      together: sum { hosts[$0] == mine.host && groups[$0] == available.group },
      onHost: sum { hosts[$0] == mine.host })
    {
      let helpful = configuration.settingsThatHelp(size: size, needed: mine.needed) { smaller in
        let share = (counts[rank] * smaller.experts + outline.experts - 1) / outline.experts
        return needed(smaller, share, rank: rank)
      }
      failure = Failure(.usage, "\(shortage); \(helpful)")
    }
    try communicator.agree(on: failure)
  }

  /// The settings whose halves need much less memory, the most helpful first.
  private func settingsThatHelp(
    size: DataSetSize, needed: Int, _ memory: (ModelOutline) -> Int
  ) -> Message {
    let fields: [(name: String, field: WritableKeyPath<Configuration, Int>)] = [
      ("batch-size", \.batchSize), ("experts", \.experts), ("layers", \.layers),
      ("block-rows", \.blockRows), ("threads", \.threads),
    ]
    var found: [(name: String, saved: Int)] = []
    // Halves are beyond count as well, and nothing tells the settings apart.
    let isBeyondCount = needed > ModelOutline.tooMuchMemory / 2
    for (name, field) in fields where self[keyPath: field] > 1 {
      var smaller = self
      // A batch has no more rows than there are samples.
      let value = field == \.batchSize ? min(batchSize, max(size.trainingSamples, 2)) : self[keyPath: field]
      smaller[keyPath: field] = value / 2
      smaller.topK = min(topK, max(smaller.experts, 1))
      smaller.placement = "auto"
      guard let outline = try? ModelOutline(smaller, size: size) else { continue }
      let stacks = field == \.threads ? (threads - smaller.threads) * AvailableMemory.now().stack : 0
      found.append((name, needed - memory(outline) + stacks))
    }
    let helpful = found.sorted { $0.saved > $1.saved }.filter { $0.saved > needed / 8 || isBeyondCount }
    guard !helpful.isEmpty else { return "take a smaller model or data set, or more hosts" }
    return "take a smaller " + Message.list(helpful.map { "\(setting: $0.name)" }, "or")
  }
}

/// A sum that stays the largest number where it would be larger.
func saturatingSum(_ left: Int, _ right: Int) -> Int {
  let (sum, isTooLarge) = left.addingReportingOverflow(right)
  return isTooLarge ? .max : sum
}
