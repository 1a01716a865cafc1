import Dist
import TestSupport
import Testing

/// Law 4 over threads; over MPI it is part of MPITests.
struct ExchangeTests {
  @Test(arguments: [1, 2, 3, 4, 7])
  func dispatchAndCombineAreLinearMapsWithTheirAdjoints(ranks: Int) throws {
    let problems = try LocalGroup.run(ranks: ranks) { try ExchangeLaws.problems($0) }.flatMap { $0 }
    #expect(problems == [])
  }
}
