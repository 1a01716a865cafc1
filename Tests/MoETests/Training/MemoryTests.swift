import DataSets
import Dist
import Files
import KernelInterface
import MoE
import Networks
import Numerics
import Testing
import Training

private func configuration(_ settings: [(String, String)]) throws -> Configuration {
  try Configuration.resolve([ConfigurationLayer(commandLine: settings)]).configuration
}

private func size(samples: Int) -> DataSetSize {
  DataSetSize(
    shape: ImageShape(channels: 1, height: 28, width: 28), classes: 10, trainingSamples: samples,
    testSamples: 0)
}

struct MemoryTests {
  private let texts = [
    "/proc/self/limits": "Max address space         2000      unlimited   bytes\n",
    "/proc/meminfo": "MemAvailable:   8 kB\n", "/proc/self/cgroup": "0::/\n",
    "/sys/fs/cgroup/memory.max": "5000\n", "/sys/fs/cgroup/memory.current": "0\n",
  ]

  private func rank(_ needed: Int, _ reserved: Int = 0, without hidden: String? = nil) -> RankMemory {
    RankMemory(
      host: "h", needed: needed, reserved: reserved,
      available: AvailableMemory { path in path == hidden ? nil : texts[path] })
  }

  @Test func whatFitsIsNotRefused() {
    #expect(rank(1500, 500).shortage(together: (5000, 2), onHost: (8192, 3)) == nil)
  }

  @Test func theAddressSpaceIsEveryRanksOwn() {
    let words = rank(1500, 501).shortage(together: (1500, 1), onHost: (1500, 1))
    #expect(words?.contains("about 2.00 kB") == true)
    #expect(words?.contains("ulimit -v") == true && words?.contains("ranks") == false)
  }

  @Test func groupAndHostAreShared() {
    let ofGroup = rank(100).shortage(together: (5001, 2), onHost: (5001, 2))
    #expect(ofGroup?.contains("for 2 ranks") == true && ofGroup?.contains("5.00 kB are left") == true)
    #expect(ofGroup?.contains("control group") == true)
    let ofHost = rank(100).shortage(together: (4000, 2), onHost: (8193, 3))
    #expect(ofHost?.contains("for 3 ranks") == true && ofHost?.contains("8.19 kB are left") == true)
    #expect(ofHost?.contains("host") == true)
  }

  @Test func whereNothingIsToldNothingIsRefused() {
    let rank = RankMemory(host: "h", needed: .max, reserved: .max, available: AvailableMemory { _ in nil })
    #expect(rank.shortage(together: (.max, 2), onHost: (.max, 2)) == nil)
  }

  @Test func theLargestSizesAreCountedWithoutOverflow() throws {
    for model in ["mnist", "mlp"] {
      let largest = try configuration([
        ("dataset", "synthetic"), ("model", model), ("experts", "65536"), ("batch-size", "16777216"),
        ("block-rows", "1048576"), ("threads", "1024"), ("layers", model == "mlp" ? "64" : "1"),
        ("products", "openblas"),
      ])
      let outline = try ModelOutline(largest, size: size(samples: Int(Int32.max)))
      #expect(outline.memory(experts: 65_536, gate: true) > 1 << 50)
      #expect(outline.memory(experts: 1, gate: false) > 0)
    }
  }

  @Test func memoryIsAtLeastWhatIsKept() throws {
    let settings = try configuration([
      ("dataset", "synthetic"), ("model", "mnist"), ("experts", "3"), ("batch-size", "64"),
    ])
    let outline = try ModelOutline(settings, size: size(samples: 100))
    // An image is a byte per pixel; values, gradients and Adam's two vectors are four bytes each.
    let kept = 100 * 784 + 3 * outline.expertSpec.parameterCount * 4 * 4
    #expect(outline.memory(experts: 3, gate: false) >= kept)
    let evaluated = outline.memory(experts: 3, gate: false, training: false)
    #expect(evaluated < outline.memory(experts: 3, gate: false))
  }

  @Test(arguments: [1, 2, 3]) func allRanksRefuseTogether(ranks: Int) throws {
    let large = try configuration([
      ("dataset", "synthetic"), ("model", "mlp"), ("experts", "65536"), ("batch-size", "16777216"),
      ("layers", "64"),
    ])
    let refusals = try LocalGroup.run(ranks: ranks) { comm -> AgreedError? in
      do {
        try large.checkMemory(size: size(samples: Int(Int32.max)), hasData: true, over: comm)
        return nil
      } catch let error as AgreedError {
        return error
      }
    }
    for refusal in refusals {
      let refusal = try #require(refusal)
      #expect(refusal.exitCode == 64)
      #expect(refusal.description.contains("batch-size") && refusal.description.contains("experts"))
      #expect(refusal.description == refusals[0]?.description)
      #expect(!refusal.description.contains("\n"))
    }
  }

  @Test func smallModelsFit() throws {
    let small = try configuration([("dataset", "synthetic"), ("model", "mnist"), ("experts", "2")])
    try small.checkMemory(size: size(samples: 1000), hasData: true, over: LocalCommunicator())
  }
}

struct PrecisionTests {
  @Test(arguments: [
    ("learning-rate", "1e39"), ("learning-rate", "1e-46"), ("learning-rate", "1e-39"),
    ("temperature", "1e39"),
    ("temperature", "1e-50"), ("expert-temperature", "1e-60"), ("weight-decay", "1e300"),
    ("importance", "1e40"),
    ("similarity", "1e40"), ("dissimilarity", "1e-60"), ("z-loss", "1e39"), ("load-balance", "1e39"),
    ("noise", "1e39"), ("clip-norm", "1e-50"), ("step-factor", "1e-50"), ("std", "1e-50"), ("mean", "1e39"),
    ("similarity-scale", "1e-50"), ("momentum", "0.99999999999"),
  ])
  func whatSinglePrecisionDoesNotHoldIsRefused(key: String, text: String) throws {
    let failure = #expect(throws: Failure.self) { _ = try configuration([(key, text)]) }
    #expect(failure?.code == .usage)
    #expect(failure?.message.contains(key) == true && failure?.message.contains("expected") == true)
  }

  @Test func whatItHoldsIsTaken() throws {
    #expect(try configuration([("learning-rate", "1e-30")]).learningRate == 1e-30)
    #expect(try configuration([("learning-rate", "0")]).learningRate == 0)
    #expect(try configuration([("clip-norm", "1e37")]).clipNorm == 1e37)
    // Seconds and shares are no part of a step.
    #expect(try configuration([("max-time", "1e300")]).maxTime == 1e300)
    #expect(try configuration([("stall-abort", "1e-60")]).stallAbort == 1e-60)
  }
}
