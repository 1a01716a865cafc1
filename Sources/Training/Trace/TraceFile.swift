internal import Files
internal import Records

/// A trace of all ranks in the Trace Event Format of Chrome, as Perfetto reads it: a process per rank, a track for steps,
/// gate, exchange, other phases and every expert, arrows from dispatch over an expert to combine, and a counter of the rows
/// of every expert.
struct TraceFile {
  /// What one rank kept.
  struct Rank {
    let host: String
    /// To be added to its times, in nanoseconds.
    let offset: Int
    let spans: [TraceRecorder.Span]
    /// [exchange][expert] rows of its shard, flat.
    let rows: [Int32]
  }

  private let ranks: [Rank]
  private let experts: Int
  private let layers: Int
  private let clocks: String
  /// The first moment of all.
  private let origin: Int

  private static let head = #"{"displayTimeUnit":"ms","otherData":{"program":"moe-dist","#

  /// Whether a file begins like a trace of this program.
  static func isOne(_ head: [UInt8]) -> Bool { head.starts(with: Self.head.utf8) }

  init(_ ranks: [Rank], experts: Int, layers: Int, areClocksShared: Bool) {
    self.ranks = ranks
    self.experts = experts
    self.layers = layers
    clocks = areClocksShared ? "one host" : "several hosts, aligned by barriers"
    origin = ranks.flatMap { rank in rank.spans.map { $0.begin + rank.offset } }.min() ?? 0
  }

  func write(to path: String) throws(Failure) {
    let file = try OutputFile(path)
    try file.write(Self.head + #""ranks":\#(ranks.count),"clocks":"\#(clocks)"},"traceEvents":["# + "\n")
    var isFirst = true
    for number in ranks.indices {
      // One rank at a time, so that the text of all need not be in memory.
      let events = events(ofRank: number)
      try file.write((isFirst ? "" : ",\n") + events.joined(separator: ",\n"))
      isFirst = false
    }
    try file.write("\n]}\n")
    try file.close()
  }

  // MARK: Tracks

  private enum Track {
    static let steps = 1
    static let gate = 2
    static let exchange = 3
    static let phases = 4
    static let firstExpert = 10
  }

  private func track(of span: TraceRecorder.Span) -> Int {
    switch span.kind {
    case .step: Track.steps
    case .expertForward, .expertBackward: Track.firstExpert + Int(span.expert)
    case .phase(.gate), .phase(.gateBackward): Track.gate
    case .phase(.plan), .phase(.dispatch), .phase(.combine), .phase(.returning), .phase(.waiting):
      Track.exchange
    case .phase: Track.phases
    }
  }

  private func name(ofTrack track: Int) -> String {
    switch track {
    case Track.steps: return "steps"
    case Track.gate: return "gate"
    case Track.exchange: return "exchange"
    case Track.phases: return "other phases"
    default: return name(ofExpert: track - Track.firstExpert)
    }
  }

  private func name(ofExpert index: Int) -> String {
    (layers > 1 ? "layer \(index / experts + 1) " : "") + "expert \(index % experts)"
  }

  private func words(_ span: TraceRecorder.Span) -> String {
    switch span.kind {
    case .step: "step \(span.step)"
    case .expertForward: "forward"
    case .expertBackward: "backward"
    case .phase(let phase): phase.rawValue
    }
  }

  // MARK: Events

  private func events(ofRank rank: Int) -> [String] {
    let host = JSONValue.string("rank \(rank) (\(ranks[rank].host))").text()
    var events = [
      #"{"ph":"M","pid":\#(rank),"tid":0,"name":"process_name","args":{"name":\#(host)}}"#,
      #"{"ph":"M","pid":\#(rank),"tid":0,"name":"process_sort_index","args":{"sort_index":\#(rank)}}"#,
    ]
    let tracks = Dictionary(grouping: ranks[rank].spans, by: track)
    for number in tracks.keys.sorted() {
      let place = #""pid":\#(rank),"tid":\#(number)"#
      events += [
        #"{"ph":"M",\#(place),"name":"thread_name","args":{"name":"\#(name(ofTrack: number))"}}"#,
        #"{"ph":"M",\#(place),"name":"thread_sort_index","args":{"sort_index":\#(number)}}"#,
      ]
      events += pairs(tracks[number] ?? [], ofRank: rank, place)
    }
    return events + counters(ofRank: rank)
  }

  /// Begins and ends of spans that lie apart or within each other, in the order of time.
  private func pairs(_ spans: [TraceRecorder.Span], ofRank rank: Int, _ place: String) -> [String] {
    var events: [String] = []
    var open: [TraceRecorder.Span] = []
    func close() {
      guard let span = open.popLast() else { return }
      if span.kind == .phase(.combine) { events += arrows("f", span, ofRank: rank, place, at: span.end) }
      events.append(#"{"ph":"E",\#(place),"ts":\#(time(span.end, rank))}"#)
    }
    for span in spans.sorted(by: { ($0.begin, -$0.end) < ($1.begin, -$1.end) }) {
      while let last = open.last, last.end <= span.begin { close() }
      let rows = span.expert < 0 ? "" : #","rows":\#(span.rows)"#
      events.append(
        #"{"ph":"B",\#(place),"ts":\#(time(span.begin, rank)),"name":"\#(words(span))","args":{"step":\#(span.step)\#(rows)}}"#
      )
      if span.kind == .phase(.dispatch) { events += arrows("s", span, ofRank: rank, place, at: span.begin) }
      if span.kind == .expertForward { events += arrows("t", span, ofRank: rank, place, at: span.begin) }
      open.append(span)
    }
    while !open.isEmpty { close() }
    return events
  }

  /// The parts of arrows that touch a span: a dispatch and a combine have one per expert that rows of their shard go to, an
  /// expert one per rank whose rows it has.
  private func arrows(
    _ part: String, _ span: TraceRecorder.Span, ofRank rank: Int, _ place: String, at moment: Int
  )
    -> [String]
  {
    guard span.exchange >= 0 else { return [] }
    let exchange = Int(span.exchange)
    let ends =
      span.expert < 0
      ? (0..<experts).map { (source: rank, expert: $0) }
      : ranks.indices.map { (source: $0, expert: Int(span.expert) % experts) }
    return ends.filter { rows(of: $0.expert, from: $0.source, in: exchange) > 0 }.map { end in
      let id = (exchange * ranks.count + end.source) * experts + end.expert
      let binding = part == "f" ? #","bp":"e""# : ""
      return
        #"{"ph":"\#(part)",\#(place),"ts":\#(time(moment, rank)),"id":\#(id),"cat":"rows","name":"rows"\#(binding)}"#
    }
  }

  private func rows(of expert: Int, from source: Int, in exchange: Int) -> Int {
    Int(ranks[source].rows[exchange * experts + expert])
  }

  /// The rows that every expert of a rank got, also where they are none, when they had arrived.
  private func counters(ofRank rank: Int) -> [String] {
    let spans = ranks[rank].spans
    let here = Set(spans.filter { $0.expert >= 0 }.map { Int($0.expert) }).sorted()
    let dispatches = spans.filter { $0.kind == .phase(.dispatch) && $0.exchange >= 0 }
      .sorted { $0.exchange < $1.exchange }
    return dispatches.flatMap { span in
      // The layers take turns.
      let layer = Int(span.exchange) % layers
      return here.filter { $0 / experts == layer }.map { index in
        let sum = ranks.indices.reduce(0) {
          $0 + rows(of: index % experts, from: $1, in: Int(span.exchange))
        }
        return
          #"{"ph":"C","pid":\#(rank),"ts":\#(time(span.end, rank)),"name":"rows of \#(name(ofExpert: index))","args":{"rows":\#(sum)}}"#
      }
    }
  }

  /// Microseconds since the first moment.
  private func time(_ nanoseconds: Int, _ rank: Int) -> String {
    let since = max(nanoseconds + ranks[rank].offset - origin, 0)
    let fraction = String(since % 1000)
    return "\(since / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
  }
}
