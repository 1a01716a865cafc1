internal import Records

/// Who sent how much to whom: a cell per pair of ranks.
struct RankMatrix {
  private let traffic: RankTraffic

  /// More ranks than this are not drawn.
  static let mostRanks = 64

  /// Nil where it was not counted, and where there is one rank alone.
  init?(_ account: ComputeAccount?) {
    guard let traffic = account?.traffic, (2...Self.mostRanks).contains(traffic.ranks) else { return nil }
    self.traffic = traffic
  }

  var figures: [Figure] {
    [
      figure(
        "dispatch", title: "Rows dispatched between ranks", noun: "rows", traffic.rowsDispatched,
        traffic.bytesDispatched,
        caption: "Samples on their way to the experts of a rank, each at most once per rank."),
      figure(
        "combine", title: "Answers combined between ranks", noun: "answers", traffic.rowsCombined,
        traffic.bytesCombined,
        caption:
          "Answers of a rank's experts on their way back, one per expert and row; scores of a gate are not among them."
      ),
    ]
  }

  private func figure(
    _ name: String, title: String, noun: String, _ rows: [[Int]], _ bytes: [[Int]], caption: String
  ) -> Figure {
    let ranks = rows.indices
    let most = max(rows.joined().max() ?? 0, 1)
    let cells = ranks.map { from in
      ranks.map { to in
        let count = rows[from][to]
        let way = from == to ? "on rank \(from), not sent" : "rank \(from) to rank \(to)"
        return HeatMap.Cell(
          shade: Double(count) / Double(most), hue: from == to ? .none : .amount,
          label: count < 1_000_000 ? countText(count) : withPrefix(Double(count)),
          note: from == to ? "not sent" : bytesText(bytes[from][to]),
          tip: "\(way): \(countText(count)) \(noun), \(bytesText(bytes[from][to]))")
      }
    }
    let sent = bytes.joined().reduce(0, +)
    let map = HeatMap(
      rows: ranks.map { "rank \($0)" }, columns: ranks.map { "rank \($0)" }, cells: cells,
      columnHeading: "to; rows of the table: from", scaleHeading: noun,
      scaleEnds: ("0", countText(most)), width: 560)
    let words = ranks.flatMap { from in
      ranks.filter { $0 != from && rows[from][$0] > 0 }.map {
        "\(from) to \($0): \(rows[from][$0]) \(noun), \(bytesText(bytes[from][$0]))"
      }
    }
    return map.figure(
      name: "ranks-\(name)", title: title,
      caption: "\(caption) Grey: what stays on its rank. In all \(bytesText(sent)) crossed between ranks.",
      alternative:
        "\(title), by sender and receiver. \(words.isEmpty ? "Nothing was sent" : words.joined(separator: "; "))."
    )
  }
}
