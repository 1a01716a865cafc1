import Dist
import Files
import Foundation
import Records

/// A fault for tests of failure, from the environment: MOE_DIST_FAULT=throw@phase=experts,rank=1,step=3.
struct FaultInjection {
  enum Kind: String, CaseIterable {
    /// An error is thrown.
    case `throw`
    /// The process ends without a word.
    case exit
    /// The process traps.
    case trap
    /// The rank stops answering.
    case stall
  }

  private let kind: Kind
  private let phase: Phase
  private let rank: Int
  private let step: Int

  init(_ text: String) throws(Failure) {
    let parts = text.split(separator: "@", maxSplits: 1)
    var values: [Substring: Substring] = [:]
    for pair in (parts.count == 2 ? parts[1] : "").split(separator: ",") {
      let sides = pair.split(separator: "=", maxSplits: 1)
      if sides.count == 2 { values[sides[0]] = sides[1] }
    }
    let name = values["phase"] == "backward" ? "expert backward" : values["phase"].map(String.init)
    guard let first = parts.first, let kind = Kind(rawValue: String(first)), let name,
      let phase = Phase(rawValue: name),
      let rank = values["rank"].flatMap({ Int($0) })
    else {
      throw Failure(
        .usage, "MOE_DIST_FAULT '\(text)' is not of the form throw|exit|trap|stall@phase=P,rank=R[,step=S]")
    }
    self.kind = kind
    self.phase = phase
    self.rank = rank
    step = values["step"].flatMap { Int($0) } ?? 0
  }

  func strike(phase: Phase, step: Int, rank: Int) throws {
    guard phase == self.phase, rank == self.rank, step >= self.step else { return }
    switch kind {
    case .throw: throw InjectedFault(description: "injected fault in phase \(phase.rawValue) of step \(step)")
    case .exit: _exit(3)
    case .trap: preconditionFailure("injected trap")
    case .stall: while true { sleep(1) }
    }
  }
}

/// What an injected fault throws: an error of one rank, which nobody expects.
private struct InjectedFault: ProcessError {
  let description: String
  var exitCode: Int32 { ExitCode.internalError.rawValue }
}
