package import Dist
internal import MoE
package import Networks
package import Records

#if canImport(Glibc)
  internal import Glibc
#endif

/// What every rank measured, collected on rank 0: the raw material of the timing table and of the account.
package struct RankReports {
  /// Seconds, [rank][phase].
  package let seconds: [[Double]]
  /// Bytes sent to other ranks, [rank][phase].
  package let bytesSent: [[Int]]
  /// Calls of the transport, per rank.
  package let calls: [Int]
  /// Largest resident memory of every rank, in bytes.
  package let peakMemory: [Int]
  /// Layer by layer, per expert in ascending order: what was counted on its owner.
  package let experts: [ExpertWork]
  /// The gates' networks, on all ranks together.
  package let gate: ModuleWork
  /// What is in front of the layers and behind them, on all ranks together.
  package let trunk: ModuleWork
  /// Who sent how much to whom, in all layers; complete on rank 0.
  package let traffic: RankTraffic

  package struct ExpertWork: Equatable {
    package let expert: Int
    /// From 1.
    package let layer: Int
    package let owner: Int
    /// Rows of all shards whose mixture takes it, counted where the selection is made.
    package let rowsSelected: Int
    package let work: ModuleWork
  }

  /// Collects from all ranks; the lists are complete on rank 0 only.
  package init(_ parts: ModelParts, clock: PhaseClock, over communicator: any Communicator)
    throws
  {
    let phases = Phase.allCases.count
    seconds = try gatherRows(clock.seconds.map { $0 }, over: communicator)
    let counters =
      clock.traffic.map(\.bytesSent) + [clock.traffic.reduce(0) { $0 + $1.calls }, peakResidentBytes()]
    let traffic = try gatherRows(counters, over: communicator)
    bytesSent = traffic.map { Array($0[0..<phases]) }
    calls = traffic.map { $0[phases] }
    peakMemory = traffic.map { $0[phases + 1] }
    experts = try parts.layers.enumerated().flatMap { index, layer in
      try RankReports.experts(of: layer, number: index + 1, over: communicator)
    }
    gate = try RankReports.sum(parts.layers.compactMap { $0.gate?.work }, over: communicator)
    trunk = try RankReports.sum([parts.trunk, parts.head].compactMap { $0?.work }, over: communicator)
    self.traffic = try RankReports.traffic(parts.layers.map(\.carried.counts), over: communicator)
  }

  private static func experts(
    of layer: LayerParts, number: Int, over communicator: any Communicator
  ) throws -> [ExpertWork] {
    var mine: [Int] = []
    for expert in 0..<layer.placement.experts {
      let local = layer.placement.expertsOfRank[communicator.rank].firstIndex(of: expert)
      let work = local.map { layer.experts[$0].work } ?? ModuleWork()
      mine += [layer.bank.rowsSelected[expert], work.rows, work.forwardFlops, work.backwardFlops]
    }
    let all = try gatherRows(mine, over: communicator)
    guard !all.isEmpty else { return [] }
    return (0..<layer.placement.experts).map { expert in
      let owner = layer.placement.owners[expert]
      let numbers = all[owner][expert * 4..<expert * 4 + 4].map { $0 }
      var work = ModuleWork()
      work.rows = numbers[1]
      work.forwardFlops = numbers[2]
      work.backwardFlops = numbers[3]
      let selected = all.reduce(0) { $0 + $1[expert * 4] }
      return ExpertWork(expert: expert, layer: number, owner: owner, rowsSelected: selected, work: work)
    }
  }

  /// A row per sender of what all layers carried.
  private static func traffic(
    _ layers: [ExchangeAccount.Counts], over communicator: any Communicator
  ) throws -> RankTraffic {
    func sent(_ count: (ExchangeAccount.Counts) -> [Int]) -> [Int] {
      (0..<communicator.size).map { receiver in layers.reduce(0) { $0 + count($1)[receiver] } }
    }
    return RankTraffic(
      rowsDispatched: try gatherRows(sent(\.dispatched.rows), over: communicator),
      bytesDispatched: try gatherRows(sent(\.dispatched.bytes), over: communicator),
      rowsCombined: try gatherRows(sent(\.combined.rows), over: communicator),
      bytesCombined: try gatherRows(sent(\.combined.bytes), over: communicator))
  }

  /// What modules did on all ranks together.
  private static func sum(_ works: [ModuleWork], over communicator: any Communicator) throws -> ModuleWork {
    let here = works.reduce(into: [0, 0, 0]) { sum, work in
      sum[0] += work.rows
      sum[1] += work.forwardFlops
      sum[2] += work.backwardFlops
    }
    return try gatherRows(here, over: communicator).reduce(into: ModuleWork()) { sum, numbers in
      sum.rows += numbers[0]
      sum.forwardFlops += numbers[1]
      sum.backwardFlops += numbers[2]
    }
  }
}

/// Collects one row of numbers per rank on rank 0, all of one length; empty elsewhere.
private func gatherRows<Number: BitwiseCopyable>(
  _ row: [Number], over communicator: any Communicator
) throws -> [[Number]] {
  try communicator.gathered(row, Partition(counts: Array(repeating: row.count, count: communicator.size)))
}

extension Communicator {
  /// Collects values of every rank on rank 0, by rank; nothing elsewhere. Collective.
  ///
  /// - Parameter counts: how many each rank has.
  func gathered<Value: BitwiseCopyable>(_ values: [Value], _ counts: Partition) throws -> [[Value]] {
    let isRoot = rank == 0
    let stride = MemoryLayout<Value>.stride
    let total = isRoot ? counts.total : 0
    let all = try [Value](unsafeUninitializedCapacity: max(total, 1)) { buffer, count in
      try values.withUnsafeBytes { bytes in
        try gather(
          bytes, into: UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: total * stride),
          counts, rowBytes: stride, root: 0)
      }
      count = total
    }
    return isRoot ? (0..<size).map { Array(all[counts[$0]]) } : []
  }
}

/// The largest resident memory of this process so far, in bytes.
package func peakResidentBytes() -> Int {
  var usage = rusage()
  getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  return Int(usage.ru_maxrss) * 1024
}
