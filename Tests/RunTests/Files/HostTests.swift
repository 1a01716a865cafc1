import Files
import Testing

private let limits = """
  Limit                     Soft Limit           Hard Limit           Units
  Max data size             unlimited            unlimited            bytes
  Max stack size            4194304              unlimited            bytes
  Max address space         1000000              unlimited            bytes

  """
private let status =
  "Name:\tmoe-dist\nVmSize:\t     500 kB\nVmData:\t     100 kB\nCpus_allowed:\t3,00000001\n"

private func memory(_ files: [String: String]) -> AvailableMemory { AvailableMemory { files[$0] } }

struct AvailableMemoryTests {
  @Test func addressSpaceIsLessWhatIsInUse() {
    let found = memory(["/proc/self/limits": limits, "/proc/self/status": status])
    #expect(found.ofProcess?.bytes == 1_000_000 - 500 * 1024)
    #expect(found.ofProcess?.words.contains("ulimit -v") == true)
    #expect(found.stack == 4_194_304)
    #expect(found.ofGroup == nil && found.ofHost == nil)
  }

  @Test func theTighterOfTwoLimitsOfAProcessCounts() {
    let both = limits.replacing("data size             unlimited", with: "data size             200000   ")
    let found = memory(["/proc/self/limits": both, "/proc/self/status": status])
    #expect(found.ofProcess?.bytes == 200_000 - 100 * 1024)
    #expect(found.ofProcess?.words.contains("ulimit -d") == true)
    let over = limits.replacing("1000000", with: "1000   ")
    #expect(memory(["/proc/self/limits": over, "/proc/self/status": status]).ofProcess?.bytes == 0)
  }

  @Test func theHostSaysWhatIsAvailable() {
    let found = memory(["/proc/meminfo": "MemTotal:   9 kB\nMemFree:   1 kB\nMemAvailable:   7 kB\n"])
    #expect(found.ofHost?.bytes == 7 * 1024)
    #expect(found.ofProcess == nil)
  }

  @Test func theTightestGroupOfVersion2Counts() {
    let root = "/sys/fs/cgroup"
    let found = memory([
      "/proc/self/cgroup": "0::/job/step\n",
      "\(root)/job/step/memory.max": "max\n", "\(root)/job/step/memory.current": "10\n",
      "\(root)/job/memory.max": "1000\n", "\(root)/job/memory.current": "700\n",
      "\(root)/job/memory.stat": "anon 400\ninactive_file 200\nactive_file 100\n",
    ])
    #expect(found.ofGroup?.bytes == 1000 - (700 - 200))
    #expect(found.group == "\(root)/job")
  }

  @Test func aContainerSeesItsGroupAsTheRoot() {
    let found = memory([
      "/proc/self/cgroup": "0::/../../elsewhere\n", "/sys/fs/cgroup/memory.max": "5000\n",
      "/sys/fs/cgroup/memory.current": "6000\n",
    ])
    #expect(found.ofGroup?.bytes == 0)
    #expect(found.group == "/sys/fs/cgroup")
  }

  @Test func version1IsRead() {
    let root = "/sys/fs/cgroup/memory"
    let found = memory([
      "/proc/self/cgroup": "9:name=systemd:/x\n4:cpu,memory:/box\n0::/\n",
      "\(root)/box/memory.limit_in_bytes": "3000\n", "\(root)/box/memory.usage_in_bytes": "900\n",
      "\(root)/box/memory.stat": "inactive_file 1\ntotal_inactive_file 100\n",
      "\(root)/memory.limit_in_bytes": "9223372036854771712\n", "\(root)/memory.usage_in_bytes": "5\n",
    ])
    #expect(found.ofGroup?.bytes == 3000 - (900 - 100))
    #expect(found.group == "\(root)/box")
  }

  @Test func unreadableTextsAreNoLimit() {
    let found = memory([
      "/proc/self/limits": "nothing", "/proc/self/status": "VmSize:\n", "/proc/self/cgroup": "::\nx\n0::/\n",
      "/sys/fs/cgroup/memory.max": "many", "/proc/meminfo": "MemAvailable: -\n",
    ])
    #expect(found.ofProcess == nil && found.ofGroup == nil && found.ofHost == nil)
  }
}

struct BoundCoresTests {
  @Test func coresAreCountedInTheMask() throws {
    // 3,00000001 has three bits.
    let cores = try #require(BoundCores(status: status, all: 8))
    #expect(cores == BoundCores(bound: 3, all: 8))
    #expect(BoundCores(status: "Name:\tx\n", all: 8) == nil)
  }

  @Test func threadsAboveTheBoundAreToldOf() {
    let words = BoundCores(bound: 1, all: 4).advice(threads: 2)?.text(as: .options) ?? ""
    #expect(words.contains("bound to 1 core of 4") && words.contains("--map-by slot:PE=2"))
    #expect(words.contains("--bind-to none") && words.hasPrefix("--threads 2, "))
    // A rank takes no more cores than there are.
    #expect(BoundCores(bound: 2, all: 4).advice(threads: 9)?.description.contains("PE=4") == true)
    #expect(BoundCores(bound: 2, all: 4).advice(threads: 2) == nil)
    // Nothing that mpirun could change.
    #expect(BoundCores(bound: 4, all: 4).advice(threads: 9) == nil)
  }
}
