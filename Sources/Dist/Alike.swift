/// Something that all ranks of a job must have alike, by its name and as a text.
public struct Alike: Equatable, Sendable {
  public let name: String
  public let text: String

  public init(_ name: String, _ text: String) {
    self.name = name
    self.text = text
  }
}

/// Where ranks were not started alike.
public struct StartDifference: Equatable, Sendable {
  /// The first rank that differs from rank 0.
  public let rank: Int
  /// Its host.
  public let host: String
  /// What differs; nil where the ranks do not even compare the same things.
  public let name: String?
  /// Rank 0's text, and that of ``rank``.
  public let texts: (root: String, other: String)

  public static func == (left: Self, right: Self) -> Bool {
    left.rank == right.rank && left.host == right.host && left.name == right.name && left.texts == right.texts
  }
}

extension Communicator {
  /// Compares what all ranks must have alike, in one exchange whose size depends on nothing: it may come before any other
  /// collective, also where ranks run other commands or other versions of a program. Collective; a second exchange follows
  /// only where something differs, which every rank then knows.
  ///
  /// - Parameter items: at most 254; what tells programs and commands apart comes first, on every rank in the same place.
  /// - Returns: the first rank that differs from rank 0 in the first item that does; nil where all are alike.
  /// - Throws: ``CommunicationError``.
  public func difference(in items: [Alike]) throws(CommunicationError) -> StartDifference? {
    precondition(items.count < alikeWords - 1, "at most \(alikeWords - 2) things are compared")
    var words = [UInt64](repeating: 0, count: alikeWords)
    for (index, item) in items.enumerated() { words[index + 1] = hash(item.name + "\0" + item.text) }
    words[0] = hash(items.map(\.name).joined(separator: "\0"))
    let all = try allGather(words)
    guard
      let rank = (1..<size).first(where: {
        all[($0 * alikeWords)..<(($0 + 1) * alikeWords)] != all[..<alikeWords]
      })
    else { return nil }
    let mine = all[(rank * alikeWords)..<((rank + 1) * alikeWords)]
    // Behind the names: an item that all ranks have in the same place, or one of a rank that compares other things.
    let index = zip(all[..<alikeWords], mine).enumerated().dropFirst().first { $1.0 != $1.1 }?.offset ?? 0
    let item = items.indices.contains(index - 1) ? items[index - 1] : nil
    let names = try allGather(text: item?.name ?? "")
    let texts = try allGather(text: item?.text ?? "")
    let hosts = try allGather(text: hostName)
    let name = names[0] == names[rank] && !names[0].isEmpty ? names[0] : nil
    return StartDifference(rank: rank, host: hosts[rank], name: name, texts: (texts[0], texts[rank]))
  }
}

/// Words of the exchange: the names, the items, and zeros.
private let alikeWords = 256

/// FNV-1a over the bytes of a text.
private func hash(_ text: String) -> UInt64 {
  text.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
}
