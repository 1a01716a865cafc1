public import Dist
internal import MoE

/// What every communicator must obey, written once. Expected values are closed forms of rank and size.
///
/// A law returns what it found wrong, so that it can run on threads that no test framework knows of.
public enum CommunicatorLaws {
  public static let all: [(name: String, check: @Sendable (any Communicator) throws -> [String])] = [
    ("broadcast copies the root's bytes", broadcast),
    ("gather collects in rank order", gather),
    ("scatter is gather's inverse", scatter),
    ("allGather gives everyone everything", allGather),
    ("allToAll transposes", allToAll),
    ("allToAll moves unequal counts, zero among them", unequalAllToAll),
    ("allToAll of arrays, whose counts are asked for", arraysToAll),
    ("allGather in place gives everyone everything", allGatherInPlace),
    ("allReduceSum gives everyone the sums", allReduceSum),
    ("allToAll leaves what a rank keeps", partialAllToAll),
    ("messages go round a ring", ring),
    ("every rank's contribution counts once", powersOfTwo),
    ("block sums follow the fixed tree", blockSums),
    ("traffic excludes what a rank sends to itself", traffic),
    ("an error of one rank is known to all", agreement),
    ("groups have their ranks in order and exchange apart", groups),
  ]

  private static func expect(_ condition: Bool, _ words: @autoclosure () -> String) -> [String] {
    condition ? [] : [words()]
  }

  static func broadcast(_ comm: any Communicator) throws -> [String] {
    var problems: [String] = []
    for root in 0..<comm.size {
      let text = try comm.broadcast(text: "rank \(comm.rank) says so", root: root)
      problems += expect(text == "rank \(root) says so", "broadcast from \(root) gave '\(text)'")
    }
    return problems
  }

  static func gather(_ comm: any Communicator) throws -> [String] {
    // Rank r sends r values 100 r + i.
    let counts = Partition(counts: Array(0..<comm.size))
    let mine = (0..<comm.rank).map { Int32(100 * comm.rank + $0) }
    let root = comm.size - 1
    var all = [Int32](repeating: -1, count: comm.rank == root ? counts.total : 0)
    try mine.withUnsafeBytes { send in
      try all.withUnsafeMutableBytes { try comm.gather(send, into: $0, counts, rowBytes: 4, root: root) }
    }
    let expected = (0..<comm.size).flatMap { r in (0..<r).map { Int32(100 * r + $0) } }
    return expect(comm.rank != root || all == expected, "gather gave \(all), expected \(expected)")
  }

  static func scatter(_ comm: any Communicator) throws -> [String] {
    let counts = Partition(counts: (0..<comm.size).map { ($0 + 1) % 3 })
    let all = comm.rank == 0 ? (0..<counts.total).map { Int32($0) } : []
    var mine = [Int32](repeating: -1, count: counts.counts[comm.rank])
    try all.withUnsafeBytes { send in
      try mine.withUnsafeMutableBytes { try comm.scatter(send, into: $0, counts, rowBytes: 4, root: 0) }
    }
    return expect(mine == counts[comm.rank].map { Int32($0) }, "scatter gave \(mine)")
  }

  static func allGather(_ comm: any Communicator) throws -> [String] {
    let found = try comm.allGather([comm.rank * comm.rank, 7])
    return expect(found == (0..<comm.size).flatMap { [$0 * $0, 7] }, "allGather gave \(found)")
  }

  static func allGatherInPlace(_ comm: any Communicator) throws -> [String] {
    // Rank r has r + 1 values 100 r + i.
    let counts = Partition(counts: (0..<comm.size).map { $0 + 1 })
    func values(_ rank: Int) -> [Int32] { (0...rank).map { Int32(100 * rank + $0) } }
    var found = [Int32](repeating: -1, count: counts.total)
    found.replaceSubrange(counts[comm.rank], with: values(comm.rank))
    try found.withUnsafeMutableBytes { bytes in
      let mine = counts[comm.rank].lowerBound * 4..<counts[comm.rank].upperBound * 4
      try comm.allGather(UnsafeRawBufferPointer(rebasing: bytes[mine]), into: bytes, counts, rowBytes: 4)
    }
    return expect(found == (0..<comm.size).flatMap(values), "allGather in place gave \(found)")
  }

  /// Powers of two, so that any order of additions gives the same.
  static func allReduceSum(_ comm: any Communicator) throws -> [String] {
    var found = (0..<5).map { Float(sign: .plus, exponent: comm.rank, significand: 1) * Float($0) }
    try found.withUnsafeMutableBufferPointer { try comm.allReduceSum($0) }
    let sum = Float(sign: .plus, exponent: comm.size, significand: 1) - 1
    return expect(found == (0..<5).map { sum * Float($0) }, "allReduceSum gave \(found)")
  }

  static func partialAllToAll(_ comm: any Communicator) throws -> [String] {
    // Rank s sends 1000 s + d to every other rank d, and keeps a value of its own in two places of two.
    let two = Partition(counts: Array(repeating: 2, count: comm.size))
    let others = Partition(counts: (0..<comm.size).map { $0 == comm.rank ? 0 : 2 })
    let send = (0..<comm.size).filter { $0 != comm.rank }.flatMap { d in
      Array(repeating: Int32(1000 * comm.rank + d), count: 2)
    }
    var found = [Int32](repeating: -7, count: two.total)
    let before = comm.traffic
    try send.withUnsafeBytes { out in
      try found.withUnsafeMutableBytes {
        try comm.allToAll(out, others, into: $0, two.leavingOut(comm.rank), rowBytes: 4)
      }
    }
    let moved = comm.traffic.since(before)
    let expected = (0..<comm.size).flatMap { s in
      Array(repeating: s == comm.rank ? -7 : Int32(1000 * s + comm.rank), count: 2)
    }
    return expect(found == expected, "allToAll with rows that stay gave \(found), expected \(expected)")
      + expect(
        moved.bytesSent == 8 * (comm.size - 1) && moved.bytesReceived == 8 * (comm.size - 1),
        "it counted \(moved)")
  }

  static func allToAll(_ comm: any Communicator) throws -> [String] {
    let one = Partition(counts: Array(repeating: 1, count: comm.size))
    let send = (0..<comm.size).map { Int32(1000 * comm.rank + $0) }
    var found = [Int32](repeating: -1, count: comm.size)
    try send.withUnsafeBytes { out in
      try found.withUnsafeMutableBytes { try comm.allToAll(out, one, into: $0, one, rowBytes: 4) }
    }
    return expect(found == (0..<comm.size).map { Int32(1000 * $0 + comm.rank) }, "allToAll gave \(found)")
  }

  static func unequalAllToAll(_ comm: any Communicator) throws -> [String] {
    // Rank s sends (s + 2 d) mod 4 rows of 3 bytes to rank d; rank 1 sends nothing at all.
    func rows(_ s: Int, _ d: Int) -> Int { s == 1 ? 0 : (s + 2 * d) % 4 }
    let outgoing = Partition(counts: (0..<comm.size).map { rows(comm.rank, $0) })
    let incoming = Partition(counts: (0..<comm.size).map { rows($0, comm.rank) })
    func row(_ s: Int, _ d: Int, _ i: Int) -> [UInt8] { [UInt8(s), UInt8(d), UInt8(i)] }
    let send = (0..<comm.size).flatMap { d in (0..<rows(comm.rank, d)).flatMap { row(comm.rank, d, $0) } }
    var found = [UInt8](repeating: 255, count: incoming.total * 3)
    try send.withUnsafeBytes { out in
      try found.withUnsafeMutableBytes { try comm.allToAll(out, outgoing, into: $0, incoming, rowBytes: 3) }
    }
    let expected = (0..<comm.size).flatMap { s in (0..<rows(s, comm.rank)).flatMap { row(s, comm.rank, $0) } }
    return expect(found == expected, "unequal allToAll gave \(found), expected \(expected)")
  }

  static func arraysToAll(_ comm: any Communicator) throws -> [String] {
    // Rank s sends (s + d) mod 3 values 1000 s + d to rank d.
    func values(_ s: Int, _ d: Int) -> [Int] { Array(repeating: 1000 * s + d, count: (s + d) % 3) }
    let outgoing = Partition(counts: (0..<comm.size).map { (comm.rank + $0) % 3 })
    let incoming = try comm.incoming(for: outgoing)
    let found = try comm.allToAll((0..<comm.size).flatMap { values(comm.rank, $0) }, outgoing, incoming)
    let expected = (0..<comm.size).flatMap { values($0, comm.rank) }
    return expect(found == expected, "allToAll of arrays gave \(found), expected \(expected)")
      + expect(
        incoming.counts == (0..<comm.size).map { ($0 + comm.rank) % 3 }, "incoming is \(incoming.counts)")
  }

  static func ring(_ comm: any Communicator) throws -> [String] {
    let next = (comm.rank + 1) % comm.size
    let previous = (comm.rank + comm.size - 1) % comm.size
    let send = (0..<5).map { Int32(10 * comm.rank + $0) }
    var found = [Int32](repeating: -1, count: 5)
    try send.withUnsafeBytes { out in
      try found.withUnsafeMutableBytes { buffer in
        let receive = try comm.receive(into: buffer, from: previous, tag: 3)
        let sending = try comm.send(out, to: next, tag: 3)
        try receive.wait()
        try sending.wait()
        try receive.wait()
      }
    }
    return expect(found == (0..<5).map { Int32(10 * previous + $0) }, "the ring gave \(found)")
  }

  static func powersOfTwo(_ comm: any Communicator) throws -> [String] {
    let mine = blocks(of: comm.rank, count: comm.size, ranks: comm.size)
    let sum = try comm.reduceBlocks(mine.map { [Double(1 << $0)] }, count: comm.size, length: 1)
    return expect(sum == [Double((1 << comm.size) - 1)], "the sum of 2^rank is \(sum)")
  }

  static func blockSums(_ comm: any Communicator) throws -> [String] {
    var problems: [String] = []
    for count in 1...9 {
      func vector(_ block: Int) -> [Double] {
        (0..<3).map { 1 / Double(3 * block + $0 + 1) + 1e9 * Double(block % 2) }
      }
      func node(_ low: Int, _ high: Int) -> [Double] {
        if high - low == 1 { return vector(low) }
        var half = 1
        while half * 2 < high - low { half *= 2 }
        return zip(node(low, low + half), node(low + half, high)).map { $0 + $1 }
      }
      let mine = blocks(of: comm.rank, count: count, ranks: comm.size)
      let found = try comm.reduceBlocks(mine.map(vector), count: count, length: 3)
      problems += expect(found == node(0, count), "the sum of \(count) blocks is \(found)")
    }
    return problems
  }

  static func traffic(_ comm: any Communicator) throws -> [String] {
    let before = comm.traffic
    _ = try comm.allGather([UInt8](repeating: 1, count: 10))
    let moved = comm.traffic.since(before)
    let expected = 10 * (comm.size - 1)
    return expect(
      moved.bytesSent == expected && moved.bytesReceived == expected && moved.calls == 1,
      "traffic is \(moved), expected \(expected) bytes each way")
  }

  private struct Complaint: ProcessError {
    let exitCode: Int32
    let description: String
  }

  static func groups(_ comm: any Communicator) throws -> [String] {
    var problems: [String] = []
    // Every rank alone, every other rank, the lower and the upper part, all; a group of groups.
    for divisor in [comm.size, 2, 1] {
      let part = try comm.split(group: comm.rank % divisor)
      let expected = (0..<comm.size).filter { $0 % divisor == comm.rank % divisor }
      let found = try part.allGather([comm.rank])
      problems += expect(
        found == expected && part.size == expected.count && expected[part.rank] == comm.rank
          && part.hostName == comm.hostName,
        "rank \(comm.rank) of \(comm.size) modulo \(divisor) is rank \(part.rank) of \(found)")
      let half = try part.split(group: part.rank < part.size / 2 ? 7 : 3)
      let sum = try half.allReduceMax(comm.rank)
      let others = expected.indices.filter { ($0 < part.size / 2) == (part.rank < part.size / 2) }
      problems += expect(sum == others.map { expected[$0] }.max(), "the largest rank of a half is \(sum)")
    }
    return problems
  }

  static func agreement(_ comm: any Communicator) throws -> [String] {
    try comm.agree(nil)
    let last = comm.size - 1
    do {
      try comm.agree(comm.rank == last ? Complaint(exitCode: 65, description: "the file is torn") : nil)
      return ["an error of rank \(last) was not passed on"]
    } catch let error as AgreedError {
      let named = comm.size == 1 || error.description.contains("rank \(last)")
      return expect(
        error.exitCode == 65 && error.description.contains("the file is torn") && named,
        "agreed on '\(error)'")
    }
  }
}
