public import Files
public import Numerics

/// What a run is about to do: who holds what, and what a step costs. Known before the first step.
public struct RunPlan: Equatable, Sendable {
  /// One rank's part.
  public struct Rank: Equatable, Sendable {
    public var rank: Int
    public var host: String
    /// Numbers of the experts that live here, ascending.
    public var experts: [Int]
    /// Trained parameters held here, the gate's included.
    public var parameters: Int
    /// Bytes that will be allocated here: parameters, gradients, optimiser state, workspace, data.
    public var memory: Int

    public init(rank: Int, host: String, experts: [Int], parameters: Int, memory: Int) {
      self.rank = rank
      self.host = host
      self.experts = experts
      self.parameters = parameters
      self.memory = memory
    }
  }

  public var ranks: [Rank]
  /// Of every rank.
  public var threads = 1
  /// Whether every rank has a copy of the gate.
  public var isGateReplicated = false
  /// What computes: the processor level in use, and OpenBLAS where it takes part.
  public var arithmetic: Arithmetic
  /// Mixture layers, each with such a gate and such experts.
  public var layers = 1
  /// Trained parameters in front of the layers and behind them.
  public var trunkParameters = 0
  /// Trained parameters of the gate; nil for a single model.
  public var gateParameters: Int?
  /// Trained parameters of one expert.
  public var expertParameters: Int
  public var experts: Int
  public var trainingSamples: Int
  public var validationSamples: Int
  public var testSamples: Int
  public var stepsPerEpoch: Int
  /// Steps from the start of the run to its end.
  public var steps: Int
  /// The most bytes that a full batch moves between ranks: samples, answers, gradients of answers.
  public var bytesDispatched: Int
  public var bytesCombined: Int
  public var bytesReturned: Int
  /// Warnings about the data and advice, one sentence each.
  public var notes: [String]

  public init(
    ranks: [Rank], arithmetic: Arithmetic, gateParameters: Int?, expertParameters: Int, experts: Int,
    trainingSamples: Int, validationSamples: Int, testSamples: Int, stepsPerEpoch: Int, steps: Int,
    bytesDispatched: Int, bytesCombined: Int, bytesReturned: Int, notes: [String] = []
  ) {
    self.ranks = ranks
    self.arithmetic = arithmetic
    self.gateParameters = gateParameters
    self.expertParameters = expertParameters
    self.experts = experts
    self.trainingSamples = trainingSamples
    self.validationSamples = validationSamples
    self.testSamples = testSamples
    self.stepsPerEpoch = stepsPerEpoch
    self.steps = steps
    self.bytesDispatched = bytesDispatched
    self.bytesCombined = bytesCombined
    self.bytesReturned = bytesReturned
    self.notes = notes
  }

  public var parameters: Int {
    trunkParameters + layers * ((gateParameters ?? 0) + experts * expertParameters)
  }

  /// The line that a run begins with: version, ranks × hosts × threads, processor level, where each expert lives.
  public var startLine: String {
    var hosts: [String] = []
    for rank in ranks where !hosts.contains(rank.host) { hosts.append(rank.host) }
    let place = hosts.count == 1 ? hosts[0] : "\(hosts.count) hosts (\(hosts.joined(separator: ", ")))"
    let homes = ranks.filter { !$0.experts.isEmpty }.map { "\(Self.numbers($0.experts)) on rank \($0.rank)" }
    let subject =
      gateParameters == nil
      ? "the model"
      : isGateReplicated && ranks.count > 1 ? "gate on every rank, experts" : "gate on rank 0, experts"
    let homeText =
      gateParameters == nil
      ? "on rank \(ranks.first { !$0.experts.isEmpty }?.rank ?? 0)" : homes.joined(separator: ", ")
    var line =
      "moe-dist \(Version.text): \(ranks.count) rank\(ranks.count == 1 ? "" : "s") on \(place) with \(threads) thread\(threads == 1 ? "" : "s") each, "
    line += "\(arithmetic.words); \(subject) \(homeText)"
    for note in notes { line += "; \(note)" }
    return line
  }

  /// The plan that `--dry-run` prints.
  public var text: String {
    var text = startLine + "\n"
    if let gateParameters {
      let layer = "gate \(gateParameters) + \(experts) experts of \(expertParameters)"
      let whole = layers > 1 ? "\(layers) layers of (\(layer))" : layer
      let trunk = trunkParameters > 0 ? "trunk and head \(trunkParameters) + " : ""
      text += "parameters: \(parameters) = \(trunk)\(whole)\n"
    } else {
      text += "parameters: \(parameters), a single model\n"
    }
    text +=
      "samples: \(trainingSamples) for training, \(validationSamples) for validation, \(testSamples) for the test\n"
    text += "steps: \(steps), \(stepsPerEpoch) per epoch\n"
    var table = TextTable(heading: ["rank", "experts", "parameters", "memory"])
    for rank in ranks {
      table.add([
        String(rank.rank), rank.experts.isEmpty ? "-" : Self.numbers(rank.experts), String(rank.parameters),
        bytesText(rank.memory),
      ])
    }
    text += table.text
    text += "between ranks per step, at most: \(bytesText(bytesDispatched)) of samples, "
    text += "\(bytesText(bytesCombined)) of answers, \(bytesText(bytesReturned)) of gradients\n"
    return text
  }

  public var json: JSONValue {
    [
      "version": .string(Version.text),
      "processor_level": .string(arithmetic.level.name),
      "blas_kernel": JSONValue(arithmetic.blasKernel),
      "parameters": .integer(parameters),
      "gate_parameters": JSONValue(gateParameters),
      "expert_parameters": .integer(expertParameters),
      "experts": .integer(experts),
      "training_samples": .integer(trainingSamples),
      "validation_samples": .integer(validationSamples),
      "test_samples": .integer(testSamples),
      "steps_per_epoch": .integer(stepsPerEpoch),
      "steps": .integer(steps),
      "bytes_dispatched": .integer(bytesDispatched),
      "bytes_combined": .integer(bytesCombined),
      "bytes_returned": .integer(bytesReturned),
      "notes": .array(notes.map { .string($0) }),
      "ranks": .array(
        ranks.map {
          [
            "rank": .integer($0.rank), "host": .string($0.host), "parameters": .integer($0.parameters),
            "memory_bytes": .integer($0.memory), "experts": .array($0.experts.map { .integer($0) }),
          ]
        }),
    ]
  }

  /// Ascending numbers with runs of three and more as ranges: `0 1 4-7`.
  static func numbers(_ values: [Int]) -> String {
    var parts: [String] = []
    var start = values.startIndex
    while start < values.endIndex {
      var end = start
      while end + 1 < values.endIndex, values[end + 1] == values[end] + 1 { end += 1 }
      if end - start >= 2 {
        parts.append("\(values[start])-\(values[end])")
      } else {
        parts += values[start...end].map { String($0) }
      }
      start = end + 1
    }
    return parts.joined(separator: " ")
  }
}

/// What a rank computes with.
public struct Arithmetic: Equatable, Sendable {
  public var level: ProcessorLevel
  /// The kernels that OpenBLAS chose, where it computes the dense products; nil where own kernels do.
  public var blasKernel: String?

  public init(level: ProcessorLevel, blasKernel: String?) {
    self.level = level
    self.blasKernel = blasKernel
  }

  /// Of this process.
  public init(products: DenseProducts) {
    self.init(level: .current, blasKernel: products == .openblas ? BLAS.kernelName : nil)
  }

  var words: String {
    let kernels = "kernels \(level.words)"
    guard let blasKernel else { return kernels }
    return kernels + ", dense products by OpenBLAS's \(blasKernel) (the last bits are those of this kernel)"
  }
}
