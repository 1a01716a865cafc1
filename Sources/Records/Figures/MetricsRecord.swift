public import Files

/// One line of `metrics.jsonl`: a model's figures on one split, or at one step.
public struct MetricsRecord: Equatable, Sendable {
  /// Completed epochs; on step lines the epoch under way, from 1.
  public var epoch: Int
  /// Steps done since the start of the run.
  public var step: Int
  /// `train`, `validation`, `test`, or `step`.
  public var split: String
  public var loss: Double?
  public var crossEntropy: Double?
  /// Of the gate's choice, by their keys, which end in ``lossSuffix``.
  public var routingLosses: [NamedFigure] = []
  /// The keys of all such losses of the run, which every line of it has.
  public var lossNames: [String] = []
  public var error: Double?
  public var topFiveError: Double?
  /// Of the first layer's gate, as ``GateFigures/mutualInformation``, and so the next.
  public var mutualInformation: Double?
  public var mutualInformationTrue: Double?
  public var sampleEntropy: Double?
  public var usageEntropy: Double?
  public var taskEntropy: Double?
  public var expertShare: [Double]?
  public var deadExperts: Int?
  /// Of the gates of all mixture layers, the first among them; empty where there is one or none.
  public var layers: [GateFigures] = []
  public var seconds: Double?
  /// Training steps only.
  public var samplesPerSecond: Double?
  /// FLOPs that the experts did for this line.
  public var expertFlops: Int?
  /// FLOPs that all experts on all rows would have been.
  public var denseFlops: Int?
  /// Bytes that samples took to reach the experts of other ranks.
  public var bytesDispatched: Int?

  /// How the key of a loss of the gate's choice ends.
  public static let lossSuffix = "_loss"
  /// A loss in words: `importance`, `load balance`.
  package static func words(ofLoss name: String) -> String {
    String(name.dropLast(name.hasSuffix(lossSuffix) ? lossSuffix.count : 0)).split(separator: "_")
      .joined(separator: " ")
  }

  /// The losses whose keys every line has.
  private static let constantLosses = ["importance_loss", "similarity_loss"]

  public init(epoch: Int, step: Int, split: String) {
    self.epoch = epoch
    self.step = step
    self.split = split
  }

  /// The figures of a split.
  public init(epoch: Int, step: Int, split: String, metrics: Metrics) {
    self.init(epoch: epoch, step: step, split: split)
    loss = metrics.loss
    crossEntropy = metrics.crossEntropy
    routingLosses = metrics.routingLosses
    error = metrics.error
    topFiveError = metrics.topFiveError
    mutualInformation = metrics.mutualInformation
    mutualInformationTrue = metrics.mutualInformationTrue
    sampleEntropy = metrics.sampleEntropy
    usageEntropy = metrics.usageEntropy
    taskEntropy = metrics.taskEntropy
    expertShare = metrics.expertShare
    deadExperts = metrics.deadExperts
    if metrics.gates.count > 1 { layers = metrics.gates }
  }

  /// The figures of the first layer's gate.
  package var gate: GateFigures {
    var gate = GateFigures()
    gate.mutualInformation = mutualInformation
    gate.mutualInformationTrue = mutualInformationTrue
    gate.sampleEntropy = sampleEntropy
    gate.usageEntropy = usageEntropy
    gate.taskEntropy = taskEntropy
    gate.expertShare = expertShare
    gate.deadExperts = deadExperts
    return gate
  }

  /// The figures of a layer's gate, from 0; none where the line says nothing of it.
  package func gate(ofLayer layer: Int) -> GateFigures {
    layers.indices.contains(layer) ? layers[layer] : layer == 0 ? gate : GateFigures()
  }

  /// Every key of the line; what is not known, and what is no number, is null. `layers` is there where there are several.
  public var json: JSONValue {
    var names = Self.constantLosses
    for name in lossNames + routingLosses.map(\.name) where !names.contains(name) { names.append(name) }
    let losses = names.map { JSONValue.Member(key: $0, value: JSONValue(routingLosses[$0])) }
    let ofLayers = layers.isEmpty ? [] : [JSONValue.Member(key: "layers", value: layers.json)]
    guard case .object(let before) = placeAndLoss, case .object(let errors) = errors,
      case .object(let ofGate) = gate.json, case .object(let work) = work
    else { return .null }
    return .object(before + losses + errors + ofGate + work + ofLayers)
  }

  private var placeAndLoss: JSONValue {
    [
      "epoch": .integer(epoch),
      "step": .integer(step),
      "split": .string(split),
      "loss": JSONValue(loss),
      "cross_entropy": JSONValue(crossEntropy),
    ]
  }

  private var errors: JSONValue {
    ["error": JSONValue(error), "top5_error": JSONValue(topFiveError)]
  }

  private var work: JSONValue {
    [
      "seconds": JSONValue(seconds),
      "samples_per_second": JSONValue(samplesPerSecond),
      "expert_flops": JSONValue(expertFlops),
      "dense_flops": JSONValue(denseFlops),
      "bytes_dispatched": JSONValue(bytesDispatched),
    ]
  }

  /// The line, with its newline.
  public var line: String { json.text() + "\n" }
}

extension Metrics {
  /// The figures without the tables, under the keys of `metrics.jsonl`.
  public var json: JSONValue {
    let record = MetricsRecord(epoch: 0, step: 0, split: "", metrics: self)
    let about = Set(routingLosses.map(\.name)).union(GateFigures.keys).union([
      "loss", "cross_entropy", "error", "top5_error", "layers",
    ])
    guard case .object(let members) = record.json else { return .null }
    return .object(members.filter { about.contains($0.key) } + [.init(key: "rows", value: .integer(rows))])
  }
}
