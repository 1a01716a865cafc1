internal import MoE
internal import Records

/// Keeps when the phases and the experts of one rank began and ended.
///
/// Phases are of the rank's own thread. Experts may work on several, each on one at a time, so each has a track of its own.
final class TraceRecorder {
  /// What took its time.
  enum Kind: Equatable {
    case phase(Phase)
    case step
    case expertForward
    case expertBackward

    fileprivate var number: Int32 {
      switch self {
      case .phase(let phase): Int32(phase.index)
      case .step: 100
      case .expertForward: 101
      case .expertBackward: 102
      }
    }
  }

  /// A time on a rank's clock, in the form in which it travels.
  struct Span: BitwiseCopyable {
    fileprivate let code: Int32
    /// Layer · E + expert; −1: none.
    let expert: Int32
    /// Rows of an expert.
    let rows: Int32
    /// The exchange, from 0, of a dispatch, the forward pass of an expert, and the combine that ends it; −1: none.
    fileprivate(set) var exchange: Int32
    /// From 1, as `metrics.jsonl` counts.
    let step: Int
    /// In nanoseconds.
    let begin: Int
    let end: Int

    init(
      _ kind: Kind, step: Int, from begin: Double, to end: Double, expert: Int = -1, rows: Int = 0,
      exchange: Int = -1
    ) {
      code = kind.number
      self.expert = Int32(expert)
      self.rows = Int32(rows)
      self.exchange = Int32(exchange)
      self.step = step
      self.begin = Int(begin * 1e9)
      self.end = Int(end * 1e9)
    }

    var kind: Kind {
      switch code {
      case 100: .step
      case 101: .expertForward
      case 102: .expertBackward
      default: .phase(Phase.allCases[Int(code)])
      }
    }
  }

  private var own: [Span] = []
  private var tracks: [Track] = []
  private var exchanges = 0
  private var step = 0
  /// [exchange][expert] rows of this rank's shard, flat.
  private(set) var rows: [Int32] = []

  init() { own.reserveCapacity(4096) }

  /// All of them, in no order.
  var spans: [Span] { own + tracks.flatMap(\.spans) }

  func add(_ phase: Phase, step: Int, from begin: Double, to end: Double) {
    own.append(Span(.phase(phase), step: step, from: begin, to: end))
    self.step = step
  }

  func add(step: Int, from begin: Double, to end: Double) {
    own.append(Span(.step, step: step, from: begin, to: end))
  }

  /// The phase that ended last was a dispatch of these rows.
  func dispatched(_ counts: [Int]) {
    own[own.count - 1].exchange = Int32(exchanges)
    exchanges += 1
    rows += counts.map { Int32($0) }
  }

  /// The phase that ended last brought the answers of the last exchange.
  func combined() { own[own.count - 1].exchange = Int32(exchanges - 1) }

  /// A watch for the experts of a layer that are here.
  ///
  /// - Parameter experts: their numbers in the model, by their places here.
  func watch(layer: Int, experts: [Int], of count: Int) -> any ExpertWatch {
    let new = experts.map { Track(expert: layer * count + $0) }
    tracks += new
    return Watch(self, new)
  }

  /// What one expert did; of one thread at a time.
  private final class Track {
    let expert: Int
    var spans: [Span] = []

    init(expert: Int) { self.expert = expert }
  }

  private final class Watch: ExpertWatch {
    private let recorder: TraceRecorder
    private let tracks: [Track]

    init(_ recorder: TraceRecorder, _ tracks: [Track]) {
      self.recorder = recorder
      self.tracks = tracks
    }

    func measure(expert local: Int, rows: Int, isBackward: Bool, _ body: () throws -> Void) rethrows {
      let begin = PhaseClock.now()
      try body()
      let track = tracks[local]
      track.spans.append(
        Span(
          isBackward ? .expertBackward : .expertForward, step: recorder.step, from: begin,
          to: PhaseClock.now(), expert: track.expert, rows: rows,
          exchange: isBackward ? -1 : recorder.exchanges - 1))
    }
  }
}
