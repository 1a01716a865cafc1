import Dist
import Foundation
import TestSupport
import Testing

private let underMPI = Ranks.isLaunched(in: ProcessInfo.processInfo.environment)

/// The laws over MPI: mpirun -np 4 … moe-distPackageTests.xctest --testing-library swift-testing --filter MPITests
///
/// One test on the main thread, because MPI belongs to the thread that entered it and can be entered once.
@MainActor
@Suite(.serialized, .enabled(if: underMPI, "needs mpirun; scripts/test runs it"), .timeLimit(.minutes(2)))
struct MPITests {
  @Test func obeysTheLaws() {
    let code = Ranks.run(Program(name: "tests"), environment: ProcessInfo.processInfo.environment) { comm in
      for law in CommunicatorLaws.all {
        let problems = try law.check(comm)
        #expect(problems == [], "\(law.name) on rank \(comm.rank) of \(comm.size)")
      }
      #expect(try ExchangeLaws.problems(comm) == [], "the exchange on rank \(comm.rank) of \(comm.size)")
      #expect(
        try StackedLayersLaws.problems(comm) == [], "stacked layers on rank \(comm.rank) of \(comm.size)")
      if ProcessInfo.processInfo.environment["MOE_DIST_LONG"] == "1", comm.size > 1 {
        #expect(try largeMessageArrives(comm))
      }
      return 0
    }
    #expect(code == 0)
  }

  /// 2.25 GB from rank 0 to rank 1 in rows of 1 MB.
  private func largeMessageArrives(_ comm: any Communicator) throws -> Bool {
    let rowBytes = 1 << 20
    let rows = 2_150
    let outgoing = Partition(counts: (0..<comm.size).map { comm.rank == 0 && $0 == 1 ? rows : 0 })
    let incoming = Partition(counts: (0..<comm.size).map { comm.rank == 1 && $0 == 0 ? rows : 0 })
    var send = [UInt8](repeating: 3, count: outgoing.total * rowBytes)
    if !send.isEmpty { send[send.count - 1] = 9 }
    var found = [UInt8](repeating: 0, count: incoming.total * rowBytes)
    try send.withUnsafeBytes { out in
      try found.withUnsafeMutableBytes {
        try comm.allToAll(out, outgoing, into: $0, incoming, rowBytes: rowBytes)
      }
    }
    return comm.rank != 1 || (found.first == 3 && found.last == 9)
  }
}
