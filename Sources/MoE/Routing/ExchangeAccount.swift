/// What a rank's exchanges of a layer carried to every rank, counted where the messages are made.
package final class ExchangeAccount {
  package struct Flow: Equatable {
    /// Rows per receiver, those that stay on the rank among them.
    package var rows: [Int]
    /// Bytes per receiver; what stays on the rank is none.
    package var bytes: [Int]
  }

  package struct Counts: Equatable {
    /// Rows to the owners of their experts, at most once per owner.
    package var dispatched: Flow
    /// Answers to the shards of their rows, one per expert and row.
    package var combined: Flow
  }

  package var counts: Counts

  package init(ranks: Int) {
    let none = Flow(rows: Array(repeating: 0, count: ranks), bytes: Array(repeating: 0, count: ranks))
    counts = Counts(dispatched: none, combined: none)
  }

  /// Counts a message to every rank.
  ///
  /// - Parameters:
  ///   - rows: per receiver.
  ///   - rank: the sender.
  func add(_ flow: WritableKeyPath<Counts, Flow>, _ rows: [Int], rowBytes: Int, from rank: Int) {
    for (receiver, count) in rows.enumerated() {
      counts[keyPath: flow].rows[receiver] += count
      if receiver != rank { counts[keyPath: flow].bytes[receiver] += count * rowBytes }
    }
  }
}
