import Dist
import Testing

struct LaunchTests {
  private let program = Program(name: "tool", failureCode: 70, usageCode: 64)

  @Test(arguments: ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "MV2_COMM_WORLD_SIZE"])
  func ranksOfAnotherLibraryAreRefused(variable: String) throws {
    let wrong = try #require(WrongLaunch(program, [variable: "4", "PMI_RANK": "2"], size: 1))
    #expect(wrong.tasks == 4)
    #expect(wrong.exitCode == 64)
    #expect(wrong.description.hasPrefix("started 4 times as 4 separate jobs of one rank"))
    #expect(wrong.description.contains("'mpirun -np 4 tool "))
    #expect(!wrong.description.contains("\n"))
  }

  @Test func ranksThatKnowOfEachOtherAreNot() {
    for variable in ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE"] {
      #expect(WrongLaunch(program, [variable: "4"], size: 4) == nil)
      #expect(WrongLaunch(program, [variable: "1"], size: 1) == nil)
      #expect(WrongLaunch(program, [variable: "many"], size: 1) == nil)
    }
    // A batch job of four tasks in which the program was started by itself.
    #expect(WrongLaunch(program, ["SLURM_NTASKS": "4"], size: 1) == nil)
    #expect(WrongLaunch(program, [:], size: 1) == nil)
  }
}

/// A few processes as /proc shows them: by number their name, parent and user namespace; nil: may not be looked at.
private struct Processes {
  var own = "user:[2]"
  var map = "         0       1000          1\n"
  var table: [Int: (name: String, parent: Int, namespace: String?)] = [:]

  func isApart(parent: Int) -> Bool {
    let links = table.mapValues(\.namespace)
    func number(_ path: String) -> Int? { Int(path.split(separator: "/")[1]) }
    return UserNamespace(
      link: { path in path == "/proc/self/ns/user" ? own : number(path).flatMap { links[$0] ?? nil } },
      text: { path in
        if path == "/proc/self/uid_map" { return map }
        return number(path).flatMap { table[$0] }.map {
          "Name:\t\($0.name)\nState:\tS\nPPid:\t\($0.parent)\n"
        }
      }
    ).isApart(parent: parent)
  }
}

struct UserNamespaceTests {
  @Test func aRankBelowItsLauncherIsApart() {
    // mpirun … unshare --user moe-dist: the launcher's namespace may not be looked at, or is another one.
    var processes = Processes(table: [10: ("mpirun", 1, nil)])
    #expect(processes.isApart(parent: 10))
    processes.table = [10: ("mpirun", 1, "user:[1]")]
    #expect(processes.isApart(parent: 10))
  }

  @Test func aShellBetweenThemChangesNothing() {
    let inside = Processes(table: [12: ("sh", 10, "user:[2]"), 10: ("orted", 1, nil)])
    #expect(inside.isApart(parent: 12))
    let together = Processes(table: [12: ("sh", 10, "user:[2]"), 10: ("orted", 1, "user:[2]")])
    #expect(!together.isApart(parent: 12))
  }

  @Test func theFirstProcessOfAContainerIsApart() {
    #expect(Processes().isApart(parent: 0))
    #expect(Processes(table: [1: ("sh", 0, "user:[2]")]).isApart(parent: 1))
  }

  @Test func aJobInsideOneContainerIsNot() {
    let container = Processes(table: [
      1: ("bash", 0, "user:[2]"), 30: ("mpirun.openmpi", 1, "user:[2]"), 31: ("env", 30, "user:[2]"),
    ])
    #expect(!container.isApart(parent: 31))
  }

  @Test func theFirstNamespaceIsNever() {
    // A launcher of another user may not be looked at, either.
    let first = Processes(own: "user:[1]", map: "         0          0 4294967295\n")
    #expect(!first.isApart(parent: 0))
    #expect(!first.isApart(parent: 77))
  }

  @Test func aLoopOfParentsEnds() {
    #expect(Processes(table: [5: ("sh", 6, "user:[2]"), 6: ("sh", 5, "user:[2]")]).isApart(parent: 5))
  }
}
