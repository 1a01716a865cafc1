import Dist
import Testing

/// What is told of ranks that are late or gone, by what they wrote before.
struct WatchTests {
  /// Three ranks of a host that wait in the same exchange, with watchdogs that are awake.
  private func board(_ change: (inout [RankReading]) -> Void = { _ in }) -> [RankReading] {
    var readings = (0..<3).map {
      RankReading(
        index: $0, process: Int32(100 + $0), rank: 10 + $0, phase: 2, step: 7, exchanges: 40, isWaiting: true,
        heartbeat: 9900, hasEnded: false)
    }
    change(&readings)
    return readings
  }

  private func late(_ readings: [RankReading], hasArrived: Bool = true, gone: Set<Int32> = []) -> LateRank {
    LateRank(among: readings, own: 0, now: 10_000, silence: 1000, hasArrived: hasArrived) {
      gone.contains($0)
    }
  }

  @Test func aRankThatWaitsForNobodyIsLate() {
    let found = late(
      board {
        $0[2].isWaiting = false
        $0[2].exchanges = 39
      })
    #expect(found.trouble == .isBusy && found.reading.rank == 12)
    // Also the one that asks.
    let own = late(board { $0[0].isWaiting = false })
    #expect(own.trouble == .isBusy && own.reading.rank == 10)
  }

  @Test func ofSeveralThatWaitForNobodyTheOneWithTheFewestExchangesIsLate() {
    let found = late(
      board {
        $0[0].isWaiting = false
        $0[1].isWaiting = false
        $0[1].exchanges = 38
      })
    #expect(found.reading.rank == 11)
  }

  /// A stopped process may be inside an exchange, as all are.
  @Test func aRankWhoseWatchdogSleepsIsLate() {
    let found = late(
      board {
        $0[1].heartbeat = 8999
        $0[2].isWaiting = false
      })
    #expect(found.trouble == .isSilent && found.reading.rank == 11)
    #expect(late(board { $0[1].heartbeat = 9000 }).trouble == .none)
  }

  @Test func aRankInAnEarlierExchangeIsLate() {
    let found = late(board { $0[2].exchanges = 39 })
    #expect(found.trouble == .isBehind && found.reading.rank == 12)
  }

  @Test func nobodyOfThisHostMayBeLate() {
    let found = late(board())
    #expect(found.trouble == .none && found.reading.rank == 10)
  }

  /// Its number in the job is that of its place on the host.
  @Test func aRankThatHasNotBegunIsLate() {
    let readings = board {
      $0[1] = RankReading(
        index: 1, process: 0, rank: 0, phase: 0, step: 0, exchanges: 0, isWaiting: false, heartbeat: 0,
        hasEnded: false)
    }
    let found = late(readings, hasArrived: false)
    #expect(found.trouble == .hasNotBegun && found.reading.rank == 11)
  }

  @Test func aRankThatEndedOrIsGoneIsLate() {
    #expect(late(board { $0[1].hasEnded = true }).trouble == .hasEnded)
    let gone = late(board(), gone: [102])
    #expect(gone.trouble == .isGone && gone.reading.rank == 12)
    #expect(late(board { $0[2].hasEnded = true }, gone: [102]).trouble == .hasEnded)
  }

  // MARK: - Ranks that end without a word

  /// Twice, because ranks of a job that is ended go at the same time.
  @Test func aRankThatIsMissingTwiceIsTold() {
    var deaths = DeathWatch()
    let gone: (Int32) -> Bool = { $0 == 102 }
    #expect(deaths.look(at: board(), own: 0, now: 10_000) { _ in false } == nil)
    #expect(deaths.look(at: board(), own: 0, now: 10_200, isGone: gone) == nil)
    #expect(deaths.look(at: board(), own: 0, now: 10_400, isGone: gone)?.rank == 12)
    #expect(deaths.look(at: board(), own: 0, now: 10_600, isGone: gone) == nil)
  }

  @Test func aRankThatEndsByItselfIsNot() {
    var deaths = DeathWatch()
    let readings = board { $0[2].hasEnded = true }
    for look in 0..<4 {
      #expect(deaths.look(at: readings, own: 0, now: 10_000 + 200 * look) { $0 == 102 } == nil)
    }
  }

  /// Of a process that was never seen, its watchdog says whether it lives: containers hide processes from each other.
  @Test func aRankThatCannotBeSeenIsGoneWhenItIsSilent() {
    var deaths = DeathWatch()
    for _ in 0..<4 { #expect(deaths.look(at: board(), own: 0, now: 10_000) { _ in true } == nil) }
    #expect(deaths.look(at: board(), own: 0, now: 11_000) { _ in true } == nil)
    #expect(deaths.look(at: board(), own: 0, now: 11_200) { _ in true }?.rank == 11)
  }
}
