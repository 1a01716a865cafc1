internal import Dist
internal import Files
internal import MoE
internal import Records

extension Trainer {
  /// Begins to keep times where the next step is to be traced. Collective.
  func beginTrace() throws {
    guard let trace, trace.contains(after: position.step), session.clock.trace == nil else { return }
    let recorder = TraceRecorder()
    for (index, layer) in session.parts.layers.enumerated() {
      layer.bank.watch = recorder.watch(
        layer: index, experts: layer.placement.expertsOfRank[communicator.rank], of: layer.placement.experts)
    }
    clocks = try ClockAlignment(hosts: hosts, over: communicator)
    session.clock.trace = recorder
  }

  /// Brings the times of all ranks to rank 0, which writes them, where the last step to be traced is done. Collective.
  ///
  /// - Parameter isOver: whether no step comes after this one.
  func endTrace(isOver: Bool = false) throws {
    guard let window = trace, isOver || position.step >= window.last else { return }
    trace = nil
    let recorder = session.clock.trace
    session.clock.trace = nil
    for layer in session.parts.layers { layer.bank.watch = nil }
    let clocks = try clocks ?? ClockAlignment(hosts: hosts, over: communicator)
    let spans = try gathered(recorder?.spans ?? [])
    let rows = try gathered(recorder?.rows ?? [])
    guard isRoot, let path = configuration.trace else { return }
    let file = TraceFile(
      hosts.indices.map {
        TraceFile.Rank(host: hosts[$0], offset: clocks.offsets[$0], spans: spans[$0], rows: rows[$0])
      }, experts: session.parts.placement.experts, layers: session.parts.layers.count,
      areClocksShared: clocks.isShared)
    do throws(Failure) {
      try file.write(to: path)
    } catch {
      observer.note("the trace was not written: \(error.words.text(as: spelling)); training goes on")
      return
    }
    if recorder == nil {
      let words: Message =
        "the trace is empty: none of the steps after \(window.first) up to \(window.last) was done; choose others with \(setting: "trace-steps")"
      observer.note(words.text(as: spelling))
    } else {
      observer.advise(
        "trace of all ranks: \(path); open it on https://ui.perfetto.dev or in chrome://tracing")
    }
  }

  /// What every rank has, be it more or less, on rank 0; nothing elsewhere.
  private func gathered<Value: BitwiseCopyable>(_ values: [Value]) throws -> [[Value]] {
    try communicator.gathered(values, Partition(counts: try communicator.allGather([values.count])))
  }
}
