import Dist
import Foundation
import Records

/// A fault for tests of failure: `throw@phase=experts,rank=1,step=3`.
///
/// It strikes once in a process, when the rank enters the phase for the `count`-th time (1) in this step or a later one (0).
final class Fault: @unchecked Sendable {
  enum Kind: String, CaseIterable {
    /// An error is thrown.
    case `throw`
    /// The process ends without a word.
    case exit
    /// The process traps.
    case trap
    /// The process is killed.
    case kill
    /// The process is stopped as by SIGSTOP from outside; SIGCONT has it go on.
    case stop
    /// The main thread goes on for ever, and the others live.
    case stall
  }

  private let kind: Kind
  private let stage: RunStage
  private let rank: Int
  private let step: Int
  /// Entries that are still to come before it strikes. Stages are entered on the main thread alone.
  private var count: Int

  /// Nil where the text is not of the form.
  init?(_ text: String) {
    let parts = text.split(separator: "@", maxSplits: 1)
    guard parts.count == 2, let kind = Kind(rawValue: String(parts[0])) else { return nil }
    var values: [Substring: String] = [:]
    for pair in parts[1].split(separator: ",") {
      let sides = pair.split(separator: "=", maxSplits: 1)
      guard sides.count == 2, ["phase", "rank", "step", "count"].contains(sides[0]) else { return nil }
      values[sides[0]] = String(sides[1])
    }
    guard let stage = RunStage.allCases.first(where: { $0.name == values["phase"] }),
      let rank = Int(values["rank"] ?? ""), let step = Int(values["step"] ?? "0"),
      let count = Int(values["count"] ?? "1"), count > 0
    else { return nil }
    self.kind = kind
    self.stage = stage
    self.rank = rank
    self.step = step
    self.count = count
  }

  func strike(_ stage: RunStage, step: Int, rank: Int) throws {
    guard stage == self.stage, rank == self.rank, step >= self.step, count > 0 else { return }
    count -= 1
    guard count == 0 else { return }
    let words = "fault: \(kind.rawValue) in '\(stage.name)' on rank \(rank), process \(getpid())\n"
    FileHandle.standardError.write(Data(words.utf8))
    switch kind {
    case .throw: throw InjectedFault(description: "injected fault in phase '\(stage.name)' of step \(step)")
    case .exit: _exit(3)
    case .trap: preconditionFailure("injected trap")
    case .kill: Foundation.kill(getpid(), SIGKILL)
    case .stop: raise(SIGSTOP)
    case .stall: while true { sleep(1) }
    }
  }
}

/// What an injected fault throws: an error of one rank, which nobody expects.
private struct InjectedFault: ProcessError {
  let description: String
  var exitCode: Int32 { 70 }
}
