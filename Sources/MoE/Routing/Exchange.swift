package import Dist

/// Carries rows to the experts' owners and answers back, by all-to-all exchanges.
///
/// Dispatch is a linear map from rows to (expert, row) copies, combine a permutation of (expert, row) answers into slots;
/// the gradients travel by their adjoints, which use the same plan with the directions exchanged.
package final class Exchange {
  package let placement: ExpertPlacement
  private let communicator: any Communicator
  /// Values of one answer: ln y of every class, then hidden values.
  private let features: Int
  private let localExperts: [Int]
  private var send = ByteBuffer()
  private var receive = ByteBuffer()

  package init(_ communicator: any Communicator, placement: ExpertPlacement, answerFeatures: Int) {
    self.communicator = communicator
    self.placement = placement
    features = answerFeatures
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
    let counts = try allToAll(
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
    let arrived = try allToAll(
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

  private func allToAll(_ values: [Int32], _ outgoing: Partition, _ incoming: Partition) throws -> [Int32] {
    try [Int32](unsafeUninitializedCapacity: incoming.total) { buffer, count in
      try values.withUnsafeBytes { bytes in
        try communicator.allToAll(
          bytes, outgoing, into: UnsafeMutableRawBufferPointer(buffer), incoming, rowBytes: 4)
      }
      count = incoming.total
    }
  }

  // MARK: Rows

  /// Sends the plan's rows; the result is valid until the next exchange.
  ///
  /// - Parameter write: writes the given row of the shard, `rowBytes` bytes, to the given place.
  package func dispatch(
    _ plan: RoutingPlan, to arrival: Arrival, rowBytes: Int, write: (Int, UnsafeMutableRawPointer) -> Void
  ) throws -> UnsafeRawPointer {
    if plan.rowsOfRank == nil, placement.expertsOfRank.allSatisfy({ !$0.isEmpty }) {
      return try dispatchAll(plan.rows, arrival.rows, rowBytes: rowBytes, write: write)
    }
    let outgoing = Partition(counts: (0..<placement.ranks).map { plan.rowCount(ofRank: $0) })
    let target = send.reserve(outgoing.total * rowBytes)
    for rank in 0..<placement.ranks {
      for index in 0..<outgoing.counts[rank] {
        let row = plan.rowsOfRank.map { Int($0[rank][index]) } ?? index
        write(row, target + (outgoing.offsets[rank] + index) * rowBytes)
      }
    }
    let arrived = receive.reserve(arrival.rows.total * rowBytes)
    try communicator.allToAll(
      UnsafeRawBufferPointer(start: target, count: outgoing.total * rowBytes), outgoing,
      into: UnsafeMutableRawBufferPointer(start: arrived, count: arrival.rows.total * rowBytes), arrival.rows,
      rowBytes: rowBytes)
    return UnsafeRawPointer(arrived)
  }

  /// Every rank gets every row, so that the shard is written once and not for each of them.
  private func dispatchAll(
    _ rows: Int, _ shards: Partition, rowBytes: Int, write: (Int, UnsafeMutableRawPointer) -> Void
  ) throws -> UnsafeRawPointer {
    let shard = send.reserve(rows * rowBytes)
    for row in 0..<rows { write(row, shard + row * rowBytes) }
    let arrived = receive.reserve(shards.total * rowBytes)
    try communicator.allGather(
      UnsafeRawBufferPointer(start: shard, count: rows * rowBytes),
      into: UnsafeMutableRawBufferPointer(start: arrived, count: shards.total * rowBytes), shards,
      rowBytes: rowBytes)
    return UnsafeRawPointer(arrived)
  }

  // MARK: Answers

  /// Brings the answers of all experts, [features][rows of the expert], into the shard's slots, [slots · features][rows].
  package func combine(
    _ answers: [FeatureMap], from arrival: Arrival, _ plan: RoutingPlan, into slots: FeatureMap
  ) throws {
    let owner = send.reserve(arrival.counts.reduce(0) { $0 + $1.reduce(0, +) } * features * 4)
    eachRun(arrival, answers, owner.assumingMemoryBound(to: Float.self)) { column, buffer, count in
      buffer.update(from: column, count: count)
    }
    let shard = try carry(owner, arrivalCounts(arrival), planCounts(plan))
    guard plan.rowsOfExpert != nil else {
      eachLine(plan, slots, shard) { line, buffer in line.update(from: buffer, count: plan.rows) }
      return
    }
    eachPair(plan, slots, shard) { slot, buffer in slot.pointee = buffer.pointee }
  }

  /// The adjoint of ``combine(_:from:_:into:)``: takes the slots' gradients to the experts.
  package func returnGradients(
    _ slots: FeatureMap, _ plan: RoutingPlan, to arrival: Arrival, into gradients: [FeatureMap]
  ) throws {
    let count = (0..<placement.ranks).reduce(0) { $0 + plan.pairs(ofRank: $1) } * features
    let shard = send.reserve(count * 4)
    let values = shard.assumingMemoryBound(to: Float.self)
    if plan.rowsOfExpert == nil {
      eachLine(plan, slots, values) { line, buffer in buffer.update(from: line, count: plan.rows) }
    } else {
      eachPair(plan, slots, values) { slot, buffer in buffer.pointee = slot.pointee }
    }
    let owner = try carry(shard, planCounts(plan), arrivalCounts(arrival))
    eachRun(arrival, gradients, owner) { column, buffer, count in
      column.update(from: buffer, count: count)
    }
    for gradient in gradients { gradient.clearPadding() }
  }

  private func arrivalCounts(_ arrival: Arrival) -> Partition {
    Partition(counts: arrival.counts.map { $0.reduce(0, +) * features })
  }

  private func planCounts(_ plan: RoutingPlan) -> Partition {
    Partition(counts: (0..<placement.ranks).map { plan.pairs(ofRank: $0) * features })
  }

  private func carry(_ bytes: UnsafeMutableRawPointer, _ outgoing: Partition, _ incoming: Partition) throws
    -> Floats
  {
    let arrived = receive.reserve(incoming.total * 4)
    try communicator.allToAll(
      UnsafeRawBufferPointer(start: bytes, count: outgoing.total * 4), outgoing,
      into: UnsafeMutableRawBufferPointer(start: arrived, count: incoming.total * 4), incoming, rowBytes: 4)
    return arrived.assumingMemoryBound(to: Float.self)
  }

  /// Visits an owner's side of the answers in the order of the wire: source, expert, feature, row.
  private func eachRun(
    _ arrival: Arrival, _ maps: [FeatureMap], _ buffer: Floats, _ visit: (Floats, Floats, Int) -> Void
  ) {
    var next = buffer
    var columns = [Int](repeating: 0, count: maps.count)
    for counts in arrival.counts {
      for local in maps.indices where counts[local] > 0 {
        for f in 0..<features {
          visit(maps[local][f] + columns[local], next, counts[local])
          next += counts[local]
        }
        columns[local] += counts[local]
      }
    }
  }

  /// Visits the shard's side of a dense plan's answers, whole lines of all rows, in the order of the wire: owner, expert,
  /// feature.
  private func eachLine(
    _ plan: RoutingPlan, _ slots: FeatureMap, _ buffer: Floats, _ visit: (Floats, Floats) -> Void
  ) {
    var next = buffer
    for rank in 0..<placement.ranks {
      for expert in placement.expertsOfRank[rank] {
        for f in 0..<features {
          visit(slots[expert * features + f], next)
          next += plan.rows
        }
      }
    }
  }

  /// Visits the shard's side of the answers, pair by pair, in the order of the wire: owner, expert, feature, row.
  @inline(__always)
  private func eachPair(
    _ plan: RoutingPlan, _ slots: FeatureMap, _ buffer: Floats, _ visit: (Floats, Floats) -> Void
  ) {
    var next = buffer
    for rank in 0..<placement.ranks {
      for expert in placement.expertsOfRank[rank] {
        guard let rows = plan.rowsOfExpert?[expert], let places = plan.slotsOfExpert?[expert] else {
          continue
        }
        for f in 0..<features {
          for (row, slot) in zip(rows, places) {
            visit(slots[Int(slot) * features + f] + Int(row), next)
            next += 1
          }
        }
      }
    }
  }
}

/// Memory that grows to the largest message and stays.
struct ByteBuffer: ~Copyable {
  private var base: UnsafeMutableRawPointer?
  private var capacity = 0

  deinit { base?.deallocate() }

  mutating func reserve(_ count: Int) -> UnsafeMutableRawPointer {
    if let base, count <= capacity { return base }
    base?.deallocate()
    capacity = max(count, 64)
    let fresh = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 64)
    base = fresh
    return fresh
  }
}
