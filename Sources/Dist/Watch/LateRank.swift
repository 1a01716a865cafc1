internal import Glibc

/// Which rank of a host a stalled job waits for, by what the board says.
package struct LateRank: Equatable {
  package enum Trouble: Equatable {
    case hasNotBegun
    case hasEnded
    case isGone
    /// Its watchdog sleeps, so that the whole process was stopped.
    case isSilent
    /// It is not inside an exchange, so that it waits for nobody.
    case isBusy
    /// It waits in an exchange that others have left.
    case isBehind
    /// Every rank of the host waits in the same exchange.
    case none
  }

  package let reading: RankReading
  package let trouble: Trouble

  /// - Parameters:
  ///   - readings: of all ranks of the host.
  ///   - own: the index of the rank that asks.
  ///   - now: in milliseconds of the monotonic clock.
  ///   - silence: milliseconds after which a watchdog that was not awake is one that sleeps.
  ///   - hasArrived: whether all ranks have been there together.
  ///   - isGone: whether no process of this number is there.
  package init(
    among readings: [RankReading], own: Int, now: Int, silence: Int, hasArrived: Bool,
    isGone: (Int32) -> Bool
  ) {
    let others = readings.filter { $0.index != own }
    func first(_ isSo: (RankReading) -> Bool) -> RankReading? { others.first(where: isSo) }
    func latest(_ readings: [RankReading]) -> RankReading? { readings.min { $0.exchanges < $1.exchanges } }
    let begun = others.filter { $0.process != 0 }
    let waiting = readings.filter { $0.isWaiting && $0.process != 0 }
    if !hasArrived, var missing = first({ $0.process == 0 }) {
      // Of a rank that has not begun the board knows its number on the host alone.
      missing.rank = missing.index + readings[own].rank - own
      self.init(missing, .hasNotBegun)
    } else if let gone = begun.first(where: { !$0.hasEnded && isGone($0.process) }) {
      self.init(gone, .isGone)
    } else if let silent = latest(begun.filter { !$0.hasEnded && now - $0.heartbeat > silence }) {
      self.init(silent, .isSilent)
    } else if let ended = begun.first(where: \.hasEnded) {
      self.init(ended, .hasEnded)
    } else if let busy = latest(readings.filter { !$0.isWaiting && $0.process != 0 }) {
      self.init(busy, .isBusy)
    } else if let least = latest(waiting), waiting.contains(where: { $0.exchanges != least.exchanges }) {
      self.init(least, .isBehind)
    } else {
      self.init(readings[own], .none)
    }
  }

  private init(_ reading: RankReading, _ trouble: Trouble) {
    self.reading = reading
    self.trouble = trouble
  }

  /// What is the matter with it.
  ///
  /// - Parameter isWhole: whether all ranks of the job are on this host.
  func words(isAlone: Bool, isWhole: Bool) -> String {
    switch trouble {
    case .hasNotBegun: "it has not begun"
    case .hasEnded: "it has ended"
    case .isGone: "its process is gone"
    case .isSilent: "it does not answer, as if it were stopped"
    case .isBusy: isAlone ? "it waits for no other rank" : "the others wait for it"
    case .isBehind: "others have gone on"
    case .none:
      isWhole
        ? "all ranks wait in the same exchange" : "all ranks of this host wait for one of another host"
    }
  }
}

/// Ranks of a host that end without saying so.
package struct DeathWatch {
  /// Processes that have been seen alive: a container may hide those of others.
  private var seen: Set<Int32> = []
  private var missing: [Int: Int] = [:]

  package init() {}

  /// A look at the board.
  ///
  /// - Returns: a rank whose process was missing twice, so that it did not end together with the whole job.
  package mutating func look(
    at readings: [RankReading], own: Int, now: Int, isGone: (Int32) -> Bool = DeathWatch.isGone
  ) -> RankReading? {
    for reading in readings where reading.index != own && reading.process != 0 && !reading.hasEnded {
      guard isGone(reading.process) else {
        seen.insert(reading.process)
        missing[reading.index] = 0
        continue
      }
      guard seen.contains(reading.process) || now - reading.heartbeat > 1000 else { continue }
      missing[reading.index, default: 0] += 1
      if missing[reading.index] == 2 { return reading }
    }
    return nil
  }

  package static func isGone(_ process: Int32) -> Bool { kill(process, 0) != 0 && errno == ESRCH }
}
