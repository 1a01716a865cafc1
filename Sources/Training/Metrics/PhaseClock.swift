package import Dist
package import MoE
package import Records

#if canImport(Glibc)
  internal import Glibc
#endif

/// Measures phases, counts their traffic, and tells whoever watches that one has begun.
package final class PhaseClock: LayerClock {
  /// Seconds per phase, in the order of ``Phase/allCases``.
  package private(set) var seconds = [Double](repeating: 0, count: Phase.allCases.count)
  /// Traffic per phase, in the same order.
  package internal(set) var traffic = [Traffic](repeating: Traffic(), count: Phase.allCases.count)
  /// The step that is being done, for messages.
  package var step = 0
  /// Keeps when phases began and ended; nil: nobody draws them.
  var trace: TraceRecorder?
  /// Called when a phase begins, for whoever watches.
  private let onPhase: (Phase, Int) throws -> Void
  private let communicator: any Communicator
  private var depth = 0
  /// Traffic of the phases within the one that is running.
  private var inner = Traffic()

  package init(_ communicator: any Communicator, onPhase: @escaping (Phase, Int) throws -> Void) {
    self.communicator = communicator
    self.onPhase = onPhase
  }

  /// Runs a phase. Time belongs to the outermost phase, traffic to the innermost, so that neither is counted twice.
  package func measure<R>(_ phase: Phase, _ body: () throws -> R) throws -> R {
    try onPhase(phase, step)
    let isOuter = depth == 0
    depth += 1
    defer { depth -= 1 }
    let start = PhaseClock.now()
    let before = communicator.traffic
    let counted = inner
    inner = Traffic()
    let result = try body()
    let index = Phase.allCases.firstIndex(of: phase) ?? 0
    if isOuter || trace != nil {
      let end = PhaseClock.now()
      if isOuter { seconds[index] += end - start }
      trace?.add(phase, step: step + 1, from: start, to: end)
    }
    let difference = communicator.traffic.since(before)
    traffic[index].add(difference.since(inner))
    inner = counted
    inner.add(difference)
    return result
  }

  package func measure<R>(part: LayerPart, _ body: () throws -> R) throws -> R {
    let phase: Phase =
      switch part {
      case .input: .input
      case .gate: .gate
      case .plan: .plan
      case .dispatch: .dispatch
      case .experts: .experts
      case .combine: .combine
      case .returning: .returning
      case .loss: .loss
      case .gateBackward: .gateBackward
      case .expertBackward: .expertBackward
      }
    return try measure(phase, body)
  }

  /// Waits for all ranks, so that waiting is not counted as the exchange that follows.
  package func meet() throws {
    guard communicator.size > 1 else { return }
    try measure(.waiting) { try communicator.barrier() }
  }

  package func dispatched(_ rows: () -> [Int]) { trace?.dispatched(rows()) }

  package func combined() { trace?.combined() }

  package func traffic(of phase: Phase) -> Traffic { traffic[Phase.allCases.firstIndex(of: phase) ?? 0] }

  /// Seconds on a clock that only moves forward.
  package static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
