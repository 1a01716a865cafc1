package import Dist
internal import KernelInterface
package import MoE
internal import Numerics
package import Training

/// The all-to-all exchange: what a message costs by its size, and what dispatch and combine take beside it.
package struct ExchangeBenchmark {
  private let communicator: any Communicator

  package init(_ communicator: any Communicator) { self.communicator = communicator }

  /// Bytes from every rank to every other.
  package static let sizes = [
    8, 64, 512, 2048, 4096, 8192, 16_384, 32_768, 65_536, 262_144, 1_048_576, 4_194_304,
  ]

  /// One size.
  package struct Row: Equatable {
    /// From every rank to every other rank; nothing goes to oneself.
    package let bytes: Int
    /// Seconds of one exchange on the slowest rank.
    package let seconds: Quantiles
    /// Bytes per second that a rank sends to the others.
    package let bandwidth: Double
  }

  /// Measures all sizes; collective, the same on every rank.
  ///
  /// - Parameters:
  ///   - repeats: measurements per size.
  ///   - seconds: time of one measurement, of one or more exchanges.
  package func sweep(repeats: Int, seconds: Double) throws -> [Row] {
    try ExchangeBenchmark.sizes.map { bytes in
      let counts = Partition(counts: (0..<communicator.size).map { $0 == communicator.rank ? 0 : bytes / 8 })
      var send = ByteBuffer()
      var receive = ByteBuffer()
      let out = UnsafeRawBufferPointer(start: send.reserve(counts.total * 8), count: counts.total * 8)
      let place = UnsafeMutableRawBufferPointer(
        start: receive.reserve(counts.total * 8), count: counts.total * 8)
      place.initializeMemory(as: UInt8.self, repeating: 0)
      UnsafeMutableRawBufferPointer(mutating: out).initializeMemory(as: UInt8.self, repeating: 1)
      func exchange() throws { try communicator.allToAll(out, counts, into: place, counts, rowBytes: 8) }
      for _ in 0..<3 { try exchange() }
      // All ranks agree on the number of calls.
      let begin = PhaseClock.now()
      try exchange()
      let once = try communicator.allReduceMax(Int((PhaseClock.now() - begin) * 1e9) + 1)
      let calls = max(1, min(1000, Int(seconds * 1e9) / once))
      let times = try (0..<repeats).map { _ in
        try communicator.barrier()
        let begin = PhaseClock.now()
        for _ in 0..<calls { try exchange() }
        return (PhaseClock.now() - begin) / Double(calls)
      }
      let spread = Quantiles(try worst(times))
      return Row(
        bytes: bytes, seconds: spread,
        bandwidth: Double(bytes * (communicator.size - 1)) / spread.median)
    }
  }

  /// α and β per message, T = (N − 1)(α + β·bytes).
  package static func cost(of rows: [Row], ranks: Int) -> MessageCost {
    MessageCost(fitting: rows.map { ($0.bytes, $0.seconds.median / Double(ranks - 1)) })
  }

  /// The largest of all ranks' values, element by element.
  package func worst(_ values: [Double]) throws -> [Double] {
    let all = try communicator.allGather(values)
    return values.indices.map { index in
      (0..<communicator.size).map { all[$0 * values.count + index] }.max() ?? values[index]
    }
  }

  // MARK: - Dispatch and combine

  /// The exchange against the same bytes without packing.
  package struct Comparison: Equatable {
    package let counts: Quantiles
    package let dispatch: Quantiles
    package let combine: Quantiles
    /// All-to-alls of the same counts and bytes, a rank's rows to itself included.
    package let rawDispatch: Quantiles
    package let rawCombine: Quantiles
    /// Bytes that the busiest rank sends in both, its own left out.
    package let bytes: Int

    /// (dispatch + combine) / raw.
    package var ratio: Double {
      (dispatch.median + combine.median) / (rawDispatch.median + rawCombine.median)
    }
  }

  /// Measures both by turns for the model's rule and an even routing; collective.
  package func compare(_ outline: ModelOutline, placement: ExpertPlacement, repeats: Int) throws -> Comparison
  {
    let me = communicator.rank
    let ranks = communicator.size
    let shard = BatchBlocks(rows: outline.batchRows, blockRows: outline.blockRows, ranks: ranks).shard(of: me)
    let exchange = Exchange(communicator, placement: placement)
    let plan =
      outline.isDense
      ? RoutingPlan(dense: shard.count, placement: placement)
      : RoutingPlan(
        evenTable(rows: shard, experts: outline.experts, slots: outline.slots), placement: placement)
    let rowBytes = outline.rowBytes
    let source = [UInt8](repeating: 7, count: max(shard.count, 1) * rowBytes)
    let arrival = try exchange.announce(plan)
    let local = placement.expertsOfRank[me]
    let width = outline.answerWidth
    let slots = plan.slots * width
    let workspace = Workspace(
      capacity: Workspace.bytes(floats: FeatureMap.count(features: slots, rows: shard.count))
        + local.indices
        .reduce(256) {
          $0 + Workspace.bytes(floats: FeatureMap.count(features: width, rows: arrival.rowCount(of: $1)))
        })
    let answers = local.indices.map { workspace.map(features: width, rows: arrival.rowCount(of: $0)) }
    for answer in answers { answer.clear() }
    let target = workspace.map(features: slots, rows: shard.count)
    let rowsOut = Partition(counts: (0..<ranks).map { plan.rowCount(ofRank: $0) })
    let valuesOut = Partition(counts: arrival.counts.map { $0.reduce(0, +) * width })
    let valuesIn = Partition(counts: (0..<ranks).map { plan.pairs(ofRank: $0) * width })
    var times = [[Double]](repeating: [], count: 5)
    func time(_ index: Int, _ body: () throws -> Void) throws {
      try communicator.barrier()
      let begin = PhaseClock.now()
      try body()
      times[index].append(PhaseClock.now() - begin)
    }
    for round in 0..<repeats + 5 {
      if round == 5 { times = [[Double]](repeating: [], count: 5) }
      try time(0) { _ = try exchange.announce(plan) }
      try time(1) {
        _ = try source.withUnsafeBytes { bytes in
          try exchange.dispatch(plan, to: arrival, rowBytes: rowBytes) { row, place in
            place.copyMemory(from: bytes.baseAddress! + row * rowBytes, byteCount: rowBytes)
          }
        }
      }
      try time(2) { try exchange.combine(answers, from: arrival, plan, into: target) }
      try raw(rowsOut, arrival.rows, rowBytes) { body in try time(3, body) }
      try raw(valuesOut, valuesIn, 4) { body in try time(4, body) }
    }
    let spreads = try times.map { Quantiles(try worst($0)) }
    let sent =
      (rowsOut.total - rowsOut.counts[me]) * rowBytes + (valuesOut.total - valuesOut.counts[me]) * 4
    return Comparison(
      counts: spreads[0], dispatch: spreads[1], combine: spreads[2], rawDispatch: spreads[3],
      rawCombine: spreads[4], bytes: try communicator.allReduceMax(sent))
  }

  private func raw(
    _ outgoing: Partition, _ incoming: Partition, _ rowBytes: Int,
    _ time: (() throws -> Void) throws -> Void
  ) throws {
    let send = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(outgoing.total * rowBytes, 64), alignment: 64)
    let receive = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(incoming.total * rowBytes, 64), alignment: 64)
    defer {
      send.deallocate()
      receive.deallocate()
    }
    // Pages are touched before the clock runs, as those of the exchange are.
    send.initializeMemory(as: UInt8.self, repeating: 1)
    receive.initializeMemory(as: UInt8.self, repeating: 0)
    try time {
      try communicator.allToAll(
        UnsafeRawBufferPointer(rebasing: send.prefix(outgoing.total * rowBytes)), outgoing,
        into: UnsafeMutableRawBufferPointer(rebasing: receive.prefix(incoming.total * rowBytes)), incoming,
        rowBytes: rowBytes)
    }
  }
}

/// Row r takes the experts r, r + 1, …, modulo E.
func evenTable(rows: Range<Int>, experts: Int, slots: Int) -> SlotTable {
  forcedTable(rows: rows.count, slots: slots) { row, slot in
    (rows.lowerBound + row + slot) % experts
  }
}

/// The table of given experts.
func forcedTable(rows: Int, slots: Int, _ expert: (Int, Int) -> Int) -> SlotTable {
  var table = SlotTable(slots: slots, rows: rows)
  for row in 0..<rows {
    for (slot, expert) in (0..<slots).map({ expert(row, $0) }).sorted().enumerated() {
      table[row, slot] = expert
    }
  }
  return table
}
