internal import MoE
internal import Records
internal import Training

// E experts, C classes.

/// What the files of a run directory say: everything that a report knows about a run.
struct RunRecord {
  /// As the user named it.
  let path: String
  /// The settings of `config.yaml`, in its order.
  let settings: [ConfigurationLayer.Entry]
  /// The entries of `run.json`, the first start first.
  let sessions: [Session]
  /// The complete lines of `metrics.jsonl`.
  let lines: [MetricsRecord]
  /// Nil where `status.json` is not there yet.
  let status: Status?
  /// Nil before the run's first end.
  let summary: Summary?
  /// [L][E][C] samples by chosen expert and true class, of every mixture layer; empty without a gate or an evaluation.
  let hardTables: [[[Int]]]
  /// [L][E][C] sums of p_e by true class.
  let softTables: [[[Double]]]
  /// [L][E][C] samples of ``hardTables`` that the expert gets right itself; empty where they were not counted.
  let correctTables: [[[Int]]]
  /// [C][C] samples by true class and the model's class; empty where they were not counted.
  let confusion: [[Int]]
  /// The file of images by expert, and its size in pixels; nil where there is none.
  let expertImages: (file: [UInt8], width: Int, height: Int)?

  /// What happened to a few test images; empty where nothing was recorded.
  let samples: [RecordedSample]

  struct Session {
    var started: String?
    var command: [String]
    var versions: [(name: String, value: String)]
    var gitCommit: String?
    var buildFlags: String?
    var hosts: [String]
    var placement: [Int]
    var levels: [String]
    var blasKernels: [String]
    var fingerprints: [(name: String, value: String)]
    var classNames: [String]
    var coarseClassNames: [String]
    /// [C] the coarse class of every class; empty where there are none.
    var coarseClasses: [Int]
    var resumedFrom: String?
  }

  struct Status {
    var state: RunState
    var epoch: Int
    var step: Int
    var reason: String?
  }

  struct Summary {
    var account: ComputeAccount?
    var timing: Timing?
  }

  struct Timing {
    struct Phase {
      var name: String
      var minimum: Double
      var mean: Double
      var maximum: Double
      var share: Double
    }

    struct Rank {
      var rank: Int
      var host: String
      var loopSeconds: Double
      var peakMemory: Int
    }

    var steps: Int
    var samples: Int
    var loopSeconds: Double
    var samplesPerSecond: Double
    /// Of a step on rank 0: the median, and what the cost model said before.
    var stepSeconds: Double?
    var predictedStepSeconds: Double?
    var phases: [Phase]
    var ranks: [Rank]
  }

  // MARK: - What follows from it

  /// The last part of the path.
  var name: String {
    let parts = path.split(separator: "/").filter { $0 != "." }
    return parts.last.map(String.init) ?? path
  }

  func setting(_ key: String) -> String? { settings.last { $0.key == key }?.text }

  private func number(_ key: String) -> Double? {
    guard let value = setting(key).flatMap(Double.init), value.isFinite, value != 0 else { return nil }
    return value
  }

  /// The method as the paper's tables name it.
  var method: String {
    let gate = setting("gate") ?? "softmax"
    if gate == "none" { return "single model" }
    var name = ["softmax": "original MoE", "attentive": "attentive gate"][gate] ?? "\(gate) gate"
    if GateKind(rawValue: gate)?.design.isOracle == true { name += ", an oracle that sees the labels" }
    if setting("distill-from") != nil { name = "distilled (\(setting("distill-loss") ?? "kl"))" }
    switch setting("combine") {
    case "stochastic": name += ", stochastic"
    case "top-k": name += ", top-\(setting("top-k") ?? "1")"
    default: break
    }
    if let noise = number("noise") { name += ", noise \(coordinateOrShort(noise))" }
    if let capacity = number("capacity") { name += ", capacity \(coordinateOrShort(capacity))" }
    for key in Configuration.routingLossWeights {
      guard let weight = number(key) else { continue }
      name += " + \(key) \(coordinateOrShort(weight))"
    }
    if let temperature = number("temperature"), temperature != 1 {
      name += ", T = \(coordinateOrShort(temperature))"
    }
    return name
  }

  private func coordinateOrShort(_ value: Double) -> String {
    let text = String(value)
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }

  func lines(_ split: String) -> [MetricsRecord] { lines.filter { $0.split == split } }

  /// The split that curves about the gate are drawn from: evaluation mode where there is any.
  var curveSplit: String { lines.contains { $0.split == "validation" } ? "validation" : "train" }

  /// The figures that stand for the run: of the test set, else the newest there are.
  var final: MetricsRecord? {
    lines.last { $0.split == "test" } ?? lines.last { $0.split == "validation" }
      ?? lines.last { $0.split == "train" }
  }

  /// The evaluation that the tables are of.
  var evaluation: MetricsRecord? { lines.last(where: \.isOfTables) }

  /// Experts behind a gate; 0 for a single model or where nothing tells.
  var experts: Int {
    if setting("gate") == "none" { return 0 }
    return hardTables.first?.count ?? lines.lazy.compactMap(\.expertShare).first?.count
      ?? setting("experts").flatMap(Int.init) ?? 0
  }

  /// Mixture layers whose gates something is known about, or 1.
  var layers: Int { max(1, hardTables.count, lines.lazy.map(\.layers.count).max() ?? 0) }

  /// What is set behind a text about a layer, from 0; nothing where there is one.
  func suffix(ofLayer layer: Int, _ before: String = ", layer ") -> String {
    layers > 1 ? "\(before)\(layer + 1)" : ""
  }

  /// 0 where nothing tells.
  var classes: Int {
    hardTables.first?.first?.count ?? (confusion.isEmpty ? nil : confusion.count)
      ?? sessions.last.map(\.classNames.count) ?? 0
  }

  /// [C] what the classes are called.
  var classNames: [String] {
    let names = sessions.last?.classNames ?? []
    return names.count == classes ? names : (0..<classes).map { "class \($0)" }
  }

  /// Share of the samples whose chosen expert is e in a layer, from 0, in the newest evaluation.
  func shares(ofLayer layer: Int) -> [Double]? {
    if hardTables.indices.contains(layer) {
      let sums = hardTables[layer].map { Double($0.reduce(0, +)) }
      let all = sums.reduce(0, +)
      return all > 0 ? sums.map { $0 / all } : nil
    }
    return final?.gate(ofLayer: layer).expertShare
  }
}

extension MetricsRecord {
  /// Whether the line is of an evaluation, whose tables the run keeps.
  var isOfTables: Bool { split == "test" || split == "validation" }
}
