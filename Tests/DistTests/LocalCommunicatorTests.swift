import Dist
import TestSupport
import Testing

struct LocalCommunicatorTests {
  @Test(arguments: [1, 2, 3, 4, 7, 8], 0..<CommunicatorLaws.all.count)
  func obeysTheLaw(ranks: Int, index: Int) throws {
    let law = CommunicatorLaws.all[index]
    let problems = try LocalGroup.run(ranks: ranks) { try law.check($0) }.flatMap { $0 }
    #expect(problems == [], "\(law.name)")
  }

  @Test func theOnlyRankObeysTheLaws() throws {
    for law in CommunicatorLaws.all {
      let problems = try law.check(LocalCommunicator())
      #expect(problems == [], "\(law.name)")
    }
  }

  @Test func mismatchedCollectivesAreNamed() throws {
    let error = #expect(throws: CommunicationError.self) {
      _ = try LocalGroup.run(ranks: 3) { comm in
        if comm.rank == 1 { try comm.barrier() } else { _ = try comm.allGather([1]) }
      }
    }
    let reason = error?.reason ?? ""
    #expect(reason.contains("barrier") && reason.contains("allGather"), "\(reason)")
  }

  @Test func mismatchedCountsAreNamed() throws {
    let error = #expect(throws: CommunicationError.self) {
      _ = try LocalGroup.run(ranks: 2) { comm in
        let out = Partition(counts: [1, 1])
        let wrong = Partition(counts: comm.rank == 0 ? [1, 1] : [2, 1])
        var found = [UInt8](repeating: 0, count: wrong.total)
        try [UInt8](repeating: 7, count: 2).withUnsafeBytes { send in
          try found.withUnsafeMutableBytes { try comm.allToAll(send, out, into: $0, wrong, rowBytes: 1) }
        }
      }
    }
    #expect(error?.reason.contains("rank 0 sends 1 rows to rank 1, which expects 2") == true)
  }

  struct Broken: Error, Equatable {}

  @Test func aRankThatFailsReleasesTheOthers() throws {
    #expect(throws: Broken.self) {
      _ = try LocalGroup.run(ranks: 4) { comm in
        if comm.rank == 2 { throw Broken() }
        for _ in 0..<3 { try comm.barrier() }
      }
    }
  }
}

struct PartitionTests {
  @Test func offsetsAreTheRunningSum() {
    let partition = Partition(counts: [3, 0, 2])
    #expect(partition.offsets == [0, 3, 3])
    #expect(partition.total == 5)
    #expect(partition[2] == 3..<5)
    #expect(partition.scaled(by: 4) == Partition(counts: [12, 0, 8]))
  }

  /// Byte counts beyond 2³¹ are row counts below it.
  @Test func bytesOfLargeMessagesAreCountedInFullWidth() {
    let partition = Partition(counts: [3_000_000, 2]).scaled(by: 1000)
    #expect(partition.total == 3_000_002_000)
  }
}
