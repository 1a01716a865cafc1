package import Dist

/// What has to be added to the clocks of ranks so that they show what rank 0's shows.
package struct ClockAlignment: Equatable {
  private static let meetings = 16

  /// In nanoseconds, by rank.
  package let offsets: [Int]
  /// Whether all ranks look at one clock.
  package let isShared: Bool

  /// Hosts have a clock each, which only moves forward and began when the host did. Ranks of several hosts meet a few times
  /// and look at theirs. Collective.
  package init(hosts: [String], over communicator: any Communicator) throws {
    guard Set(hosts).count > 1 else {
      self.init(hosts: hosts, times: [])
      return
    }
    let times = try (0..<Self.meetings).map { _ in
      try communicator.barrier()
      return PhaseClock.now()
    }
    let all = try communicator.allGather(times)
    self.init(
      hosts: hosts,
      times: hosts.indices.map { Array(all[$0 * Self.meetings..<($0 + 1) * Self.meetings]) })
  }

  /// - Parameter times: [rank][meeting] seconds; the median is taken of all that a host's ranks say.
  package init(hosts: [String], times: [[Double]]) {
    isShared = Set(hosts).count == 1
    offsets = hosts.map { host in
      guard host != hosts[0] else { return 0 }
      let differences = hosts.indices.filter { hosts[$0] == host }.flatMap { rank in
        zip(times[0], times[rank]).map { $0 - $1 }
      }.sorted()
      return Int(differences[differences.count / 2] * 1e9)
    }
  }
}
