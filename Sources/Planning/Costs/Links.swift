#if canImport(Glibc)
  internal import Glibc
#endif

/// What messages between ranks cost, and how ranks lie on hosts.
public struct Links: Equatable, Sendable {
  /// Between ranks of one host.
  public var within: MessageCost
  /// Between hosts; the bandwidth is that of a host, which its ranks share.
  public var between: MessageCost
  /// nil: all ranks on one host.
  public var ranksPerHost: Int?

  public init(within: MessageCost, between: MessageCost, ranksPerHost: Int?) {
    self.within = within
    self.between = between
    self.ranksPerHost = ranksPerHost
  }

  private func onHost(_ ranks: Int) -> Int { min(ranks, ranksPerHost ?? ranks) }

  /// An exchange in which the busiest rank sends or receives so many bytes, spread evenly over the others:
  /// (N − 1)·α + β·bytes, each part of it over its own link.
  package func exchange(bytes: Double, ranks: Int) -> Double {
    guard ranks > 1 else { return 0 }
    let here = Double(onHost(ranks) - 1)
    let elsewhere = Double(ranks - onHost(ranks))
    let message = bytes / Double(ranks - 1)
    var seconds = here * within.seconds(bytes: message)
    if elsewhere > 0 {
      let latency = between.latency(bytes: message)
      let transfer = between.seconds(bytes: message) - latency
      seconds += elsewhere * (latency + transfer * Double(onHost(ranks)))
    }
    return seconds
  }

  /// A message from one rank to every other, or from every other to one, of so many bytes in all. Only one rank of the
  /// host uses the link: (N − 1)·α + β·bytes.
  package func star(bytes: Double, ranks: Int) -> Double {
    guard ranks > 1 else { return 0 }
    let message = bytes / Double(ranks)
    return Double(onHost(ranks) - 1) * within.seconds(bytes: message)
      + Double(ranks - onHost(ranks)) * between.seconds(bytes: message)
  }

  /// Waiting for all: ⌈log₂ N⌉ rounds.
  package func barrier(ranks: Int) -> Double {
    guard ranks > 1 else { return 0 }
    let here = log2(Double(onHost(ranks))).rounded(.up)
    let all = log2(Double(ranks)).rounded(.up)
    return here * within.latency(bytes: 0) + max(0, all - here) * between.latency(bytes: 0)
  }

  /// What every rank gives goes to all, so many bytes of each: ⌈log₂ N⌉ rounds, β·bytes·(N − 1) over the slowest link.
  package func allGather(bytes: Double, ranks: Int) -> Double {
    guard ranks > 1 else { return 0 }
    let link = onHost(ranks) < ranks ? between : within
    let latency = link.latency(bytes: bytes)
    return barrier(ranks: ranks) + Double(ranks - 1) * (link.seconds(bytes: bytes) - latency)
  }

  /// A sum over ranks that all get: a ring, 2(N − 1)·α + 2·β·bytes·(N − 1)/N, over its slowest link.
  package func allReduce(bytes: Double, ranks: Int) -> Double {
    guard ranks > 1 else { return 0 }
    let link = onHost(ranks) < ranks ? between : within
    return 2 * Double(ranks - 1) * link.seconds(bytes: bytes / Double(ranks))
  }
}
