import KernelInterface
import Numerics
import Testing

/// Which kernels the program chooses, and what it says where it cannot.
struct ProcessorLevelTests {
  @Test func kernelsAreOfTheLevelThatTheyAreChosenFor() {
    for level in ProcessorLevel.runnable {
      #expect(level.implementation.level == level.rawValue)
      #expect(level.implementation.isFused == (level != .v2))
    }
    #expect(ProcessorLevel.runnable.contains(ProcessorLevel.current))
  }

  #if arch(x86_64)
    @Test(
      arguments: [
        (ProcessorLevel.v4, nil, ProcessorLevel.v4), (.v4, "", .v4), (.v4, "v2", .v2), (.v4, "v3", .v3),
        (.v3, nil, .v3), (.v3, "v3", .v3), (.v2, nil, .v2),
      ] as [(ProcessorLevel, String?, ProcessorLevel)])
    func theHighestIsChosenUnlessALowerOneIsWanted(
      available: ProcessorLevel, wanted: String?, level: ProcessorLevel
    ) {
      let choice = ProcessorLevel.choose(available: available, wanted: wanted)
      #expect(choice.level == level && choice.objection == nil)
    }

    @Test func whatCannotBeIsRefused() throws {
      let above = try #require(ProcessorLevel.choose(available: .v3, wanted: "v4").objection)
      #expect(above.contains("MOE_DIST_LEVEL asks for v4") && above.contains("offer v3"))
      let unknown = try #require(ProcessorLevel.choose(available: .v4, wanted: "avx2").objection)
      #expect(unknown.contains("'avx2'") && unknown.contains("v2, v3, v4"))
      let other = try #require(ProcessorLevel.choose(available: .v4, wanted: "base").objection)
      #expect(other.contains("base"))
      let old = try #require(ProcessorLevel.choose(available: nil, wanted: nil).objection)
      #expect(old.contains("older than x86-64-v2"))
    }
  #endif
}
