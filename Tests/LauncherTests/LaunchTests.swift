import Files
import Foundation
import Records
import Testing
import launcher

private func line(
  ranks: Int = 2, threads: Int = 1, cores: Int = 4, place: MpirunLine.Place = .given,
  allowsRoot: Bool = false,
  words: [String] = ["train"]
) -> String {
  MpirunLine(
    ranks: ranks, threads: threads, cores: cores, place: place, allowsRoot: allowsRoot,
    program: "/opt/moe-dist",
    words: words
  ).text
}

struct MpirunLineTests {
  @Test func ranksAreBoundToCores() {
    #expect(line() == "mpirun -q --bind-to core -np 2 /opt/moe-dist train")
    #expect(line(ranks: 4) == "mpirun -q --bind-to core -np 4 /opt/moe-dist train")
  }

  @Test func ranksWithThreadsAreBoundToAsManyCores() {
    #expect(line(threads: 2) == "mpirun -q --map-by slot:PE=2 -np 2 /opt/moe-dist train")
  }

  @Test func moreRanksThanCoresYield() {
    let options = "OMPI_MCA_mpi_yield_when_idle=1 mpirun -q --oversubscribe --bind-to none -np"
    #expect(line(ranks: 5) == "\(options) 5 /opt/moe-dist train")
    #expect(line(ranks: 2, threads: 3) == "\(options) 2 /opt/moe-dist train")
  }

  @Test func rootIsAllowed() {
    #expect(
      line(allowsRoot: true)
        == "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun -q --bind-to core -np 2 /opt/moe-dist train"
    )
  }

  @Test func hostsAreNamed() {
    #expect(
      line(place: .hostfile("my hosts"))
        == "mpirun -q --hostfile 'my hosts' --bind-to core -np 2 /opt/moe-dist train")
    let hosts = [LaunchHost("a", slots: 8), LaunchHost("b", slots: nil)]
    #expect(
      line(place: .hosts(hosts)) == "mpirun -q --host 'a:8,b:*' --bind-to core -np 2 /opt/moe-dist train")
  }

  @Test func wordsAreQuotedForAShell() {
    #expect(
      line(words: ["train", "--run-dir", "it's $HOME", ""])
        == #"mpirun -q --bind-to core -np 2 /opt/moe-dist train --run-dir 'it'\''s $HOME' ''"#)
  }

  @Test func hostfilesAreRead() throws {
    let text =
      "# cores\nnode01 slots=8 max_slots=16\n\nnode02 slots = 2 # small\nnode03\nnode01 slots=4\nnode03\n"
    #expect(
      try LaunchHost.parse(hostfile: text, path: "hosts") == [
        LaunchHost("node01", slots: 12), LaunchHost("node02", slots: 2), LaunchHost("node03", slots: 2),
      ])
    #expect(try LaunchHost.parse(hostfile: "node04", path: "hosts") == [LaunchHost("node04", slots: nil)])
  }

  @Test(arguments: ["a slots=none", "a slots=0", "a slots=", "", "# nothing"])
  func hostfilesThatAreNoneAreRefused(text: String) {
    #expect(throws: Failure.self) { try LaunchHost.parse(hostfile: text, path: "hosts") }
  }
}

struct LaunchWordsTests {
  @Test func theFirstStartHasARunDirectory() {
    #expect(LaunchWords(["train"]).first(in: "r") == ["train", "--run-dir", "r"])
    #expect(LaunchWords(["train", "--run-dir=a"]).first(in: "a") == ["train", "--run-dir=a"])
    #expect(LaunchWords(["evaluate", "a"]).first(in: nil) == ["evaluate", "a"])
  }

  @Test func aRestartResumes() {
    let resume = ["--resume", "auto"]
    #expect(LaunchWords(["train", "--run-dir", "a"]).again(in: "a") == ["train", "--run-dir", "a"] + resume)
    #expect(
      LaunchWords(["train", "--resume", "a/c.safetensors", "--quiet"]).again(in: "a")
        == ["train", "--quiet", "--run-dir", "a"] + resume)
    #expect(
      LaunchWords(["train", "--resume=auto", "--run-dir", "a"]).again(in: "a").filter { $0 == "--resume" }
        .count == 1)
  }

  @Test func trainIsTheCommand() {
    #expect(LaunchWords(["--experts", "2"]) == LaunchWords(["train", "--experts", "2"]))
    #expect(LaunchWords(["distill", "a"]).keepsRun)
    #expect(!LaunchWords(["evaluate", "a"]).keepsRun)
  }
}

struct RestartDecisionTests {
  private func verdict(_ ending: LaunchEnding, maxRestarts: Int = 3) -> RestartDecision.Verdict {
    var decision = RestartDecision(maxRestarts: maxRestarts)
    return decision.decide(ending)
  }

  @Test(arguments: [0, 64, 65, 66, 73, 75, 80] as [Int32])
  func codesThatAnotherStartCannotMend(code: Int32) {
    #expect(verdict(LaunchEnding(code: code)) == .end(code: code, reason: nil))
  }

  @Test(arguments: [1, 3, 70, 74, 81, 132, 137, 139, 205] as [Int32])
  func codesThatAreWorthARestart(code: Int32) {
    #expect(verdict(LaunchEnding(code: code)) == .restart(number: 1))
  }

  @Test func theRunsOwnFilesWin() {
    // mpirun's code is 1 after SIGTERM, and that of the signal where launch ended it.
    #expect(LaunchEnding(code: 1, state: .stopped).exitCode == 75)
    #expect(LaunchEnding(code: 137, state: .finished, hang: "hangs").exitCode == 0)
    #expect(LaunchEnding(code: 74, state: .finished).exitCode == 74)
    #expect(LaunchEnding(code: 1, state: .diverged).exitCode == 80)
    #expect(LaunchEnding(code: 137, state: .running).exitCode == 137)
    let failure = RankFailure(rank: 1, host: "h", code: 65, message: "bad")
    #expect(LaunchEnding(code: 1, state: .failed, failure: failure).exitCode == 65)
    #expect(LaunchEnding(code: 137, state: .running, hang: "hangs").exitCode == 81)
  }

  @Test func aStopIsNoCrash() {
    #expect(
      verdict(LaunchEnding(code: 137, state: .running, isStopRequested: true)) == .end(code: 75, reason: nil))
    #expect(verdict(LaunchEnding(code: 64, isStopRequested: true)) == .end(code: 64, reason: nil))
    #expect(
      verdict(LaunchEnding(code: 0, state: .finished, isStopRequested: true)) == .end(code: 0, reason: nil))
  }

  @Test func theSameThreeTimesIsEnough() {
    var decision = RestartDecision(maxRestarts: 9)
    let same = LaunchEnding(code: 132, state: .running, step: 2)
    #expect(decision.decide(same) == .restart(number: 1))
    #expect(decision.decide(LaunchEnding(code: 132, state: .running, step: 4)) == .restart(number: 2))
    #expect(decision.decide(same) == .restart(number: 3))
    #expect(decision.decide(same) == .end(code: 132, reason: "this was the same 3 times after step 2"))
  }

  @Test func numbersOfAMessageMakeNoOtherCause() {
    var decision = RestartDecision(maxRestarts: 9)
    let endings = ["60.1", "60.2", "61"].map { seconds in
      let failure = RankFailure(rank: 0, host: "h", code: 81, message: "nothing for \(seconds) s")
      return LaunchEnding(code: 81, state: .stalled, step: 4, failure: failure)
    }
    #expect(decision.decide(endings[0]) == .restart(number: 1))
    #expect(decision.decide(endings[1]) == .restart(number: 2))
    #expect(decision.decide(endings[2]) == .end(code: 81, reason: "this was the same 3 times after step 4"))
  }

  @Test func restartsAreCounted() {
    var decision = RestartDecision(maxRestarts: 1)
    #expect(decision.decide(LaunchEnding(code: 137, state: .running, step: 2)) == .restart(number: 1))
    #expect(
      decision.decide(LaunchEnding(code: 137, state: .running, step: 8))
        == .end(code: 137, reason: "1 restart was made, as many as --max-restarts allows"))
    #expect(
      verdict(LaunchEnding(code: 132), maxRestarts: 0) == .end(code: 132, reason: "no restart was asked for"))
    #expect(verdict(LaunchEnding(code: 70), maxRestarts: 0) == .end(code: 70, reason: nil))
  }

  @Test func theCauseIsARanksOwnBeforeMpiruns() {
    let failure = RankFailure(rank: 3, host: "node02", code: 70, message: "it broke")
    #expect(LaunchEnding(code: 1, failure: failure).cause == "rank 3 on host node02: it broke")
    #expect(LaunchEnding(code: 137).cause.contains("killed by signal 9"))
    #expect(LaunchEnding(code: 132).cause.contains("signal 4, a trap"))
    #expect(LaunchEnding(code: 205).cause.contains("lost its daemon on a host"))
    #expect(LaunchEnding(code: 137, hang: "it hung").cause == "it hung")
  }

  @Test func hostsThatAreGoneTakeTheirRanks() {
    func ranks(_ wanted: Int, atLeast minimum: Int = 1, threads: Int = 1, cores: Int, allCores: Int) -> Int? {
      RestartDecision.ranks(wanted, atLeast: minimum, threads: threads, cores: cores, allCores: allCores)
    }
    #expect(ranks(24, cores: 24, allCores: 24) == 24)
    #expect(ranks(24, cores: 16, allCores: 24) == 16)
    #expect(ranks(24, atLeast: 17, cores: 16, allCores: 24) == nil)
    #expect(ranks(12, threads: 2, cores: 16, allCores: 24) == 8)
    // Fewer than there are cores for.
    #expect(ranks(8, cores: 16, allCores: 24) == 8)
    // Oversubscribed from the start.
    #expect(ranks(7, cores: 2, allCores: 4) == 7)
    #expect(ranks(7, cores: 0, allCores: 4) == nil)
  }
}

struct HangWatcherTests {
  private func found(
    _ alive: Int, begun: Bool = true, over: Bool = false, status: Bool = true, here: Bool = true
  )
    -> HangWatcher.Found
  {
    HangWatcher.Found(ranks: (alive, begun), isOver: over, hasStatus: status, ranksAreHere: here)
  }

  @Test func anMpirunWithoutRanksIsEnded() {
    var watcher = HangWatcher(grace: 10, start: 300, kill: 5, now: 0)
    #expect(watcher.next(found(2), stopping: nil, now: 1) == .wait)
    #expect(watcher.next(found(0), stopping: nil, now: 2) == .wait)
    #expect(watcher.next(found(0), stopping: nil, now: 11.9) == .wait)
    #expect(watcher.next(found(0), stopping: nil, now: 12) == .terminate)
    #expect(watcher.next(found(0), stopping: nil, now: 16.9) == .wait)
    #expect(watcher.next(found(0), stopping: nil, now: 17) == .kill)
    #expect(watcher.reason == "mpirun did not end after its ranks had")
  }

  @Test func ranksElsewhereAreKnownByTheirRun() {
    var watcher = HangWatcher(grace: 1, start: 300, kill: 1, now: 0)
    #expect(watcher.next(found(0, here: false), stopping: nil, now: 100) == .wait)
    #expect(watcher.next(found(0, over: true, here: false), stopping: nil, now: 200) == .wait)
    #expect(watcher.next(found(0, over: true, here: false), stopping: nil, now: 201) == .terminate)
  }

  @Test func ranksMustBegin() {
    var watcher = HangWatcher(grace: 10, start: 300, kill: 5, now: 0)
    #expect(watcher.next(found(0, begun: false, status: false), stopping: nil, now: 309) == .wait)
    #expect(watcher.next(found(0, begun: false, status: false), stopping: nil, now: 310) == .terminate)
    #expect(watcher.reason == "no rank began within 300 seconds (--start-limit)")
    var patient = HangWatcher(grace: 10, start: 0, kill: 5, now: 0)
    #expect(patient.next(found(0, begun: false, status: false), stopping: nil, now: 1e6) == .wait)
  }

  @Test func aStopHasItsTime() {
    var watcher = HangWatcher(grace: 10, start: 300, kill: 5, now: 0)
    #expect(watcher.next(found(2), stopping: 20, now: 29) == .wait)
    #expect(watcher.next(found(2), stopping: 20, now: 30) == .terminate)
    #expect(watcher.next(found(2), stopping: 20, now: 35) == .kill)
    #expect(watcher.reason == nil)
  }
}

struct OpenMPISessionTests {
  private func session(_ directory: String, top: String = "/tmp/ompi.node.1000", job: String = "1291649025")
    -> OpenMPISession?
  {
    OpenMPISession(rankEnvironment: [
      "OMPI_MCA_orte_jobfam_session_dir": directory, "OMPI_MCA_orte_top_session_dir": top,
      "OMPI_MCA_ess_base_jobid": job,
    ])
  }

  @Test func namesOfTheJob() {
    let found = session("/tmp/ompi.node.1000/pid.77")
    #expect(found?.directory == "/tmp/ompi.node.1000/pid.77")
    // 1291649025 = 0x4CFD0001
    #expect(found?.segments == "vader_segment.node.1000.4cfd0001.")
  }

  @Test func nothingElseIsRemoved() {
    #expect(OpenMPISession(rankEnvironment: [:]) == nil)
    #expect(session("/home/user") == nil)
    #expect(session("/tmp/ompi.node.1000/pid.77/../../x") == nil)
    #expect(session("/tmp/ompi.node.1000/pid.") == nil)
    #expect(session("/tmp/other/pid.7", top: "/tmp/other") == nil)
    #expect(session("/tmp/ompi.node.1000/pid.77", job: "x") == nil)
  }

  /// What an mpirun and another host's daemon left, beside what a process still has in its memory.
  @Test func leftoversAreNamed() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "moe-dist-sessions-\(getpid())"
    ).path
    defer { try? FileManager.default.removeItem(atPath: folder) }
    // No process has this number: the largest is 4194304.
    for name in ["pid.99999999", "pid.\(getpid())", "jf.17", "jf.18", "other"] {
      try FileManager.default.createDirectory(
        atPath: "\(folder)/ompi.node.0/\(name)", withIntermediateDirectories: true)
    }
    let used = open("\(folder)/ompi.node.0/jf.18/segment", O_RDWR | O_CREAT, 0o600)
    #expect(ftruncate(used, 4096) == 0)
    let memory = mmap(nil, 4096, PROT_READ, MAP_SHARED, used, 0)
    defer {
      munmap(memory, 4096)
      close(used)
    }
    let found = OpenMPISession.leftovers(["TMPDIR": folder]).filter { $0.hasPrefix(folder) }
    #expect(found == ["jf.17", "pid.99999999"].map { "\(folder)/ompi.node.0/\($0)" })
  }
}
