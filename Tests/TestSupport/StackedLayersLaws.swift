public import Dist
internal import MoE

/// Training of ``StackedLayers`` has the same bits on any number of ranks as on one.
public enum StackedLayersLaws {
  static let steps = 4

  /// Everything that a rank sees of a few steps, as bits.
  private struct Run {
    /// By step: mean cross-entropy, and on rank 0 the losses of every gate's choice.
    var entropies: [UInt64] = []
    var losses: [[UInt64]] = []
    /// Before the first step and after the last.
    var start: [String: [UInt32]] = [:]
    var end: [String: [UInt32]] = [:]

    init(_ comm: any Communicator) throws {
      let model = StackedLayers(over: comm)
      start = model.tensors.mapValues { $0.map(\.bitPattern) }
      for step in 1...steps {
        let outcome = try model.run(step: step)
        entropies.append(outcome.entropy.bitPattern)
        losses.append(outcome.losses.joined().flatMap { [$0.reported.bitPattern, $0.weighted.bitPattern] })
        try model.update(step: step)
      }
      end = model.tensors.mapValues { $0.map(\.bitPattern) }
    }
  }

  /// What differs on this rank from the run on one rank, which it makes itself; collective.
  public static func problems(_ comm: any Communicator) throws -> [String] {
    let (found, alone) = (try Run(comm), try Run(LocalCommunicator()))
    var problems: [String] = []
    for (name, values) in found.end.sorted(by: { $0.key < $1.key }) where values != alone.end[name] {
      problems.append("\(name) has other bits than on one rank")
    }
    if found.entropies != alone.entropies { problems.append("the cross-entropies have other bits") }
    if comm.rank == 0, found.losses != alone.losses { problems.append("the losses have other bits") }
    // Nothing is left out, and nothing stays as it was.
    let held = Set(
      try comm.allGather(text: found.end.keys.joined(separator: "\n")).flatMap {
        $0.split(separator: "\n").map(String.init)
      })
    if held != Set(alone.end.keys) { problems.append("the ranks hold \(held.sorted())") }
    for (name, values) in alone.end.sorted(by: { $0.key < $1.key }) where values == alone.start[name] {
      problems.append("\(name) was not trained")
    }
    return problems
  }
}
