package import Dist
package import KernelInterface
package import Numerics

/// Carries rows to the experts' owners and answers back, by all-to-all exchanges.
///
/// Dispatch is a linear map from rows to (expert, row) copies, combine a permutation of (expert, row) answers into slots;
/// the gradients travel by their adjoints, which use the same plan with the directions exchanged.
package final class Exchange {
  package let placement: ExpertPlacement
  private let communicator: any Communicator
  private let localExperts: [Int]
  private let account: ExchangeAccount?
  private var send = ByteBuffer()
  private var receive = ByteBuffer()

  /// - Parameter account: what counts the rows that are carried; nil where nobody asks.
  package init(
    _ communicator: any Communicator, placement: ExpertPlacement, account: ExchangeAccount? = nil
  ) {
    self.communicator = communicator
    self.account = account
    self.placement = placement
    localExperts = placement.expertsOfRank[communicator.rank]
  }

  /// What arrived at an owner: rows in ascending order of the batch, and which of them each local expert takes.
  package struct Arrival {
    /// Rows per source rank.
    package let rows: Partition
    /// [source][local expert]: pairs.
    package let counts: [[Int]]
    /// Per local expert: its rows among those that arrived; nil where it takes all.
    package let positions: [[Int32]]?

    /// Rows of a local expert.
    package func rowCount(of local: Int) -> Int { counts.reduce(0) { $0 + $1[local] } }
  }

  // MARK: Counts

  /// Tells every owner how many rows and pairs to expect, and which rows the pairs mean.
  package func announce(_ plan: RoutingPlan) throws -> Arrival {
    let me = localExperts.count
    var outgoing: [Int32] = []
    for rank in 0..<placement.ranks {
      outgoing.append(Int32(plan.rowCount(ofRank: rank)))
      outgoing += placement.expertsOfRank[rank].map { Int32(plan.pairs(of: $0)) }
    }
    let counts = try communicator.allToAll(
      outgoing, Partition(counts: placement.expertsOfRank.map { 1 + $0.count }),
      Partition(counts: Array(repeating: 1 + me, count: placement.ranks)))
    let rows = Partition(counts: (0..<placement.ranks).map { Int(counts[$0 * (1 + me)]) })
    let pairs = (0..<placement.ranks).map { source in
      (0..<me).map { Int(counts[source * (1 + me) + 1 + $0]) }
    }
    guard let positionsOfExpert = plan.positionsOfExpert else {
      return Arrival(rows: rows, counts: pairs, positions: nil)
    }
    var lists: [Int32] = []
    for rank in 0..<placement.ranks {
      for expert in placement.expertsOfRank[rank] { lists += positionsOfExpert[expert] }
    }
    let arrived = try communicator.allToAll(
      lists, Partition(counts: (0..<placement.ranks).map { plan.pairs(ofRank: $0) }),
      Partition(counts: pairs.map { $0.reduce(0, +) }))
    var positions = [[Int32]](repeating: [], count: me)
    var next = 0
    for source in 0..<placement.ranks {
      for local in 0..<me {
        let offset = Int32(rows.offsets[source])
        for position in arrived[next..<next + pairs[source][local]] {
          positions[local].append(offset + position)
        }
        next += pairs[source][local]
      }
    }
    return Arrival(rows: rows, counts: pairs, positions: positions)
  }

  // MARK: Rows

  /// Sends the plan's rows; the result is valid until the next exchange.
  ///
  /// - Parameter write: writes the given row of the shard, `rowBytes` bytes, to the given place.
  package func dispatch(
    _ plan: RoutingPlan, to arrival: Arrival, rowBytes: Int, write: (Int, UnsafeMutableRawPointer) -> Void
  ) throws -> UnsafeRawPointer {
    let counts = (0..<placement.ranks).map { plan.rowCount(ofRank: $0) }
    account?.add(\.dispatched, counts, rowBytes: rowBytes, from: communicator.rank)
    if plan.rowsOfRank == nil, placement.expertsOfRank.allSatisfy({ !$0.isEmpty }) {
      return try dispatchAll(plan.rows, arrival.rows, rowBytes: rowBytes, write: write)
    }
    let transfer = transfer(counts, arrival.rows, rowBytes: rowBytes)
    for rank in 0..<placement.ranks {
      let place = transfer.place(rank)
      if let rows = plan.rowsOfRank?[rank] {
        for index in rows.indices { write(Int(rows[index]), place + index * rowBytes) }
      } else {
        for row in 0..<plan.rowCount(ofRank: rank) { write(row, place + row * rowBytes) }
      }
    }
    return UnsafeRawPointer(try carry(transfer))
  }

  /// Every rank gets every row, so that the shard is written once and not for each of them.
  private func dispatchAll(
    _ rows: Int, _ shards: Partition, rowBytes: Int, write: (Int, UnsafeMutableRawPointer) -> Void
  ) throws -> UnsafeRawPointer {
    let arrived = receive.reserve(shards.total * rowBytes)
    let shard = arrived + shards.offsets[communicator.rank] * rowBytes
    for row in 0..<rows { write(row, shard + row * rowBytes) }
    try communicator.allGather(
      UnsafeRawBufferPointer(start: shard, count: rows * rowBytes),
      into: UnsafeMutableRawBufferPointer(start: arrived, count: shards.total * rowBytes), shards,
      rowBytes: rowBytes)
    return UnsafeRawPointer(arrived)
  }

  // MARK: Answers

  /// Brings the answers of all experts, [features][rows of the expert], into the shard's slots, [slots · features][rows].
  /// Empty slots get zeros.
  package func combine(
    _ answers: [FeatureMap], from arrival: Arrival, _ plan: RoutingPlan, into slots: FeatureMap
  ) throws {
    account?.add(
      \.combined, arrival.counts.map { $0.reduce(0, +) }, rowBytes: 4 * slots.features / plan.slots,
      from: communicator.rank)
    try bring(answers, from: arrival, plan, into: slots)
  }

  /// Answers, or gradients of copies, on their way back.
  private func bring(
    _ answers: [FeatureMap], from arrival: Arrival, _ plan: RoutingPlan, into slots: FeatureMap
  ) throws {
    let features = slots.features / plan.slots
    let incoming = Partition(counts: planCounts(plan, features))
    let transfer = transfer(arrivalCounts(arrival, features), incoming, rowBytes: 4)
    eachRun(arrival, answers, features, transfer.values) { column, buffer, count in
      copyRun(column, to: buffer, count)
    }
    let shard = try carry(transfer).assumingMemoryBound(to: Float.self)
    func place(_ rank: Int) -> Floats { shard + incoming.offsets[rank] }
    guard plan.rowsOfExpert != nil else {
      eachLine(plan, slots, features, place) { line, buffer in line.update(from: buffer, count: plan.rows) }
      return
    }
    if plan.hasEmptySlots { slots.clear() }
    eachPair(plan, slots, features, place) { slot, buffer in slot.pointee = buffer.pointee }
  }

  /// The adjoint of ``dispatch(_:to:rowBytes:write:)``: a row's gradient is the sum of those of its copies.
  ///
  /// Copies travel one by one and are added on the row's shard by ascending expert, so that no sum depends on which
  /// experts share a rank.
  /// - Parameters:
  ///   - copies: per local expert, [features][rows of the expert].
  ///   - rows: [features][rows of the shard], overwritten.
  package func dispatchAdjoint(
    _ copies: [FeatureMap], from arrival: Arrival, _ plan: RoutingPlan, into rows: FeatureMap,
    in workspace: Workspace
  ) throws {
    let mark = workspace.mark
    let slots = workspace.map(features: plan.slots * rows.features, rows: rows.rows)
    try bring(copies, from: arrival, plan, into: slots)
    rows.copy(slots.part(0..<rows.features))
    for slot in 1..<max(plan.slots, 1) {
      kernels.add(slots.part(slot * rows.features..<(slot + 1) * rows.features), to: rows)
    }
    rows.clearPadding()
    workspace.release(to: mark)
  }

  /// The adjoint of ``combine(_:from:_:into:)``: takes the slots' gradients to the experts.
  package func returnGradients(
    _ slots: FeatureMap, _ plan: RoutingPlan, to arrival: Arrival, into gradients: [FeatureMap]
  ) throws {
    let features = slots.features / plan.slots
    let incoming = Partition(counts: arrivalCounts(arrival, features))
    let transfer = transfer(planCounts(plan, features), incoming, rowBytes: 4)
    if plan.rowsOfExpert == nil {
      eachLine(plan, slots, features, transfer.values) { line, buffer in
        buffer.update(from: line, count: plan.rows)
      }
    } else {
      eachPair(plan, slots, features, transfer.values) { slot, buffer in buffer.pointee = slot.pointee }
    }
    let owner = try carry(transfer).assumingMemoryBound(to: Float.self)
    func place(_ rank: Int) -> Floats { owner + incoming.offsets[rank] }
    eachRun(arrival, gradients, features, place) { column, buffer, count in
      copyRun(buffer, to: column, count)
    }
    for gradient in gradients { gradient.clearPadding() }
  }

  private func arrivalCounts(_ arrival: Arrival, _ features: Int) -> [Int] {
    arrival.counts.map { $0.reduce(0, +) * features }
  }

  private func planCounts(_ plan: RoutingPlan, _ features: Int) -> [Int] {
    (0..<placement.ranks).map { plan.pairs(ofRank: $0) * features }
  }

  // MARK: Memory of an exchange

  /// What a rank keeps is written where it would arrive; what goes to others lies one behind the other.
  private struct Transfer {
    let rank: Int
    let outgoing: Partition
    let incoming: Partition
    let rowBytes: Int
    let sent: UnsafeMutableRawPointer
    let arrived: UnsafeMutableRawPointer

    /// Where the rows for a rank are written.
    func place(_ rank: Int) -> UnsafeMutableRawPointer {
      rank == self.rank
        ? arrived + incoming.offsets[rank] * rowBytes : sent + outgoing.offsets[rank] * rowBytes
    }

    func values(_ rank: Int) -> Floats { place(rank).assumingMemoryBound(to: Float.self) }
  }

  private func transfer(_ counts: [Int], _ incoming: Partition, rowBytes: Int) -> Transfer {
    var counts = counts
    counts[communicator.rank] = 0
    let outgoing = Partition(counts: counts)
    return Transfer(
      rank: communicator.rank, outgoing: outgoing, incoming: incoming, rowBytes: rowBytes,
      sent: send.reserve(outgoing.total * rowBytes), arrived: receive.reserve(incoming.total * rowBytes))
  }

  /// Exchanges what was written; the result is valid until the next exchange.
  private func carry(_ transfer: Transfer) throws -> UnsafeMutableRawPointer {
    let bytes = transfer.rowBytes
    try communicator.allToAll(
      UnsafeRawBufferPointer(start: transfer.sent, count: transfer.outgoing.total * bytes), transfer.outgoing,
      into: UnsafeMutableRawBufferPointer(start: transfer.arrived, count: transfer.incoming.total * bytes),
      transfer.incoming.leavingOut(transfer.rank), rowBytes: bytes)
    return transfer.arrived
  }
}

/// Memory that grows to the largest message and stays.
package struct ByteBuffer: ~Copyable {
  private var base: UnsafeMutableRawPointer?
  private var capacity = 0

  package init() {}

  deinit { base?.deallocate() }

  package mutating func reserve(_ count: Int) -> UnsafeMutableRawPointer {
    if let base, count <= capacity { return base }
    base?.deallocate()
    capacity = max(count, 64)
    let fresh = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 64)
    base = fresh
    return fresh
  }
}
