public import Files

/// How far a run is, as `status.json` says it.
public enum RunState: String, CaseIterable, Sendable {
  case running
  /// All steps were done.
  case finished
  /// Stopped before the end, resumable.
  case stopped
  case failed
  /// The loss was not finite.
  case diverged
  /// No phase was completed for as long as the watchdog allows.
  case stalled
  /// `running` where no process holds the run: it was killed, or its host failed. In no file, since nobody was left to
  /// write it.
  case interrupted

  /// The exit code of a process that ends in this state, where no failure has one of its own.
  public var exitCode: ExitCode {
    switch self {
    case .running, .failed: .internalError
    case .finished: .finished
    case .stopped, .interrupted: .stoppedEarly
    case .diverged: .diverged
    case .stalled: .stalled
    }
  }
}

/// The content of `status.json`: the authority on how a run stands, because mpirun may replace exit codes.
public struct RunStatus: Equatable, Sendable {
  public var state: RunState
  /// Completed epochs.
  public var epoch: Int
  /// Steps done since the start of the run, resumes included.
  public var step: Int
  /// File name of the newest checkpoint.
  public var checkpoint: String?
  /// Why it stopped or failed.
  public var reason: String?
  /// Steps that this process did.
  public var stepsExecuted: Int
  /// File name of the checkpoint that this process continued from.
  public var resumedFrom: String?

  public init(
    state: RunState, epoch: Int, step: Int, checkpoint: String? = nil, reason: String? = nil,
    stepsExecuted: Int,
    resumedFrom: String? = nil
  ) {
    self.state = state
    self.epoch = epoch
    self.step = step
    self.checkpoint = checkpoint
    self.reason = reason
    self.stepsExecuted = stepsExecuted
    self.resumedFrom = resumedFrom
  }

  public var json: JSONValue {
    [
      "state": .string(state.rawValue), "epoch": .integer(epoch), "step": .integer(step),
      "checkpoint": JSONValue(checkpoint), "reason": JSONValue(reason),
      "steps_executed": .integer(stepsExecuted),
      "resumed_from": JSONValue(resumedFrom),
    ]
  }
}

/// What a run has come to: the content of `summary.json`, and what `train` prints.
public struct RunSummary: Equatable, Sendable {
  /// The figures of one split at the end.
  public struct SplitMetrics: Equatable, Sendable {
    /// `train`, `validation`, `test`.
    public var split: String
    public var metrics: Metrics

    public init(split: String, metrics: Metrics) {
      self.split = split
      self.metrics = metrics
    }
  }

  public var status: RunStatus
  public var metrics: [SplitMetrics]
  /// Nil where no step was done.
  public var timing: TimingTable?
  /// Nil where no step was done.
  public var account: ComputeAccount?
  /// The run directory; nil where nothing was kept.
  public var runDirectory: String?
  /// What has to be said where experts were chosen by the labels; nil where they were not.
  public var oracleNote: String?

  public var state: RunState { status.state }

  public init(
    status: RunStatus, metrics: [SplitMetrics], timing: TimingTable?, account: ComputeAccount?,
    runDirectory: String?, oracleNote: String? = nil
  ) {
    self.status = status
    self.metrics = metrics
    self.timing = timing
    self.account = account
    self.runDirectory = runDirectory
    self.oracleNote = oracleNote
  }

  /// Metrics, timing and account as tables.
  public var figures: String {
    var text = results
    if let timing { text += timing.text + "\n" }
    if let account { text += account.text + "\n" }
    return text
  }

  /// The metrics, and what is to be said of them.
  private var results: String {
    if metrics.isEmpty { return "" }
    return metricsTable + ([oracleNote].compactMap { $0 } + useLines).map { "\($0)\n" }.joined() + "\n"
  }

  /// How the experts are used on the last split, a line per layer.
  private var useLines: [String] {
    guard let last = metrics.last else { return [] }
    let gates = last.metrics.gates
    return gates.enumerated().compactMap { layer, gate in
      guard let use = gate.use else { return nil }
      let place = gates.count > 1 ? "\(last.split), layer \(layer + 1): " : "\(last.split): "
      return place + (use.deadWords ?? "all \(use.shares.count) experts are in use") + "; " + use.loadWords
    }
  }

  /// A line per split; where there are several layers, a further one for the gate of each from the second on.
  private var metricsTable: String {
    let hasTopFive = metrics.contains { $0.metrics.topFiveError != nil }
    let hasLayers = metrics.contains { $0.metrics.gates.count > 1 }
    let losses = [NamedFigure].names(of: metrics.map(\.metrics.routingLosses))
    let ofModel =
      ["", "error"] + (hasTopFive ? ["top-5 error"] : []) + ["loss"]
      + losses.map { MetricsRecord.words(ofLoss: $0) }
    var table = TextTable(
      heading: ofModel + (hasLayers ? ["layer"] : []) + ["I(E;Y) bits", "H_s bits", "H_u bits", "dead"])
    func bits(_ value: Double?) -> String { value.map { fixed($0, 3) } ?? "-" }
    func cells(_ gate: GateFigures, layer: Int) -> [String] {
      (hasLayers ? [String(layer + 1)] : []) + [
        bits(gate.mutualInformation), bits(gate.sampleEntropy), bits(gate.usageEntropy),
        gate.deadExperts.map { String($0) } ?? "-",
      ]
    }
    for item in metrics {
      let figures = item.metrics
      let topFive = figures.topFiveError.map { fixed($0, 4) } ?? "-"
      table.add(
        [item.split, fixed(figures.error, 4)] + (hasTopFive ? [topFive] : []) + [fixed(figures.loss, 4)]
          + losses.map { figures.routingLosses[$0].map { fixed($0, 4) } ?? "-" }
          + cells(figures.gates.first ?? GateFigures(), layer: 0))
      for (layer, gate) in figures.gates.enumerated().dropFirst() {
        table.add(ofModel.map { _ in "" } + cells(gate, layer: layer))
      }
    }
    return table.text
  }

  /// What `train` prints at its end: figures, how the experts are used, what was saved, and how the run stands.
  ///
  /// - Parameter isVerbose: also where the time went, and the account of a run in which every expert ran on every row.
  public func text(isVerbose: Bool = false) -> String {
    var text = results
    if isVerbose, let timing { text += timing.text + "\n" }
    if let account {
      text += isVerbose || !account.isDense ? account.text + "\n" : account.shortText
    }
    func counted(_ count: Int, _ unit: String) -> String { "\(count) \(unit)\(count == 1 ? "" : "s")" }
    text += "\(state.rawValue) after "
    if status.epoch > 0 { text += "\(counted(status.epoch, "epoch")) and " }
    text += counted(status.step, "step")
    if let reason = status.reason { text += ": \(reason)" }
    if let resumedFrom = status.resumedFrom {
      text += "; \(status.stepsExecuted) steps since \(resumedFrom)"
    }
    if let runDirectory { text += "; kept in \(runDirectory)" }
    return text + "\n"
  }

  public var json: JSONValue {
    guard case .object(var members) = status.json else { return .null }
    members.append(
      .init(
        key: "metrics",
        value: .object(metrics.map { .init(key: $0.split, value: $0.metrics.json) })))
    members.append(.init(key: "timing", value: timing?.json ?? .null))
    members.append(.init(key: "account", value: account?.json ?? .null))
    members.append(.init(key: "run_directory", value: JSONValue(runDirectory)))
    members.append(.init(key: "oracle", value: .bool(oracleNote != nil)))
    return .object(members)
  }
}
