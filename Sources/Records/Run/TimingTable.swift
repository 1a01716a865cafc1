public import Files

/// Where the time of a run went, phase by phase and rank by rank.
public struct TimingTable: Equatable, Sendable {
  /// What one rank measured.
  public struct RankTimes: Equatable, Sendable {
    public var rank: Int
    public var host: String
    /// Seconds per phase, in the order of ``Phase/allCases``.
    public var seconds: [Double]
    /// Seconds of the loop from its first step to its last, everything included.
    public var loopSeconds: Double
    /// The largest resident memory so far, in bytes.
    public var peakMemory: Int

    public init(rank: Int, host: String, seconds: [Double], loopSeconds: Double, peakMemory: Int) {
      precondition(seconds.count == Phase.allCases.count, "there is a time for every phase")
      self.rank = rank
      self.host = host
      self.seconds = seconds
      self.loopSeconds = loopSeconds
      self.peakMemory = peakMemory
    }

    /// Seconds per phase where what no phase measured is ``Phase/other``.
    public var complete: [Double] {
      var complete = seconds
      let other = Phase.allCases.firstIndex(of: .other)!
      complete[other] += max(0, loopSeconds - seconds.reduce(0, +))
      return complete
    }
  }

  /// Ascending by rank.
  public var ranks: [RankTimes]
  /// Steps that were done.
  public var steps: Int
  /// Samples that were trained on or evaluated.
  public var samples: Int
  /// Seconds of every training step on rank 0, ascending.
  public var stepSeconds: [Double] = []

  /// What a cost model expected of one step.
  public struct Prediction: Equatable, Sendable {
    /// Seconds per phase on the rank that takes longest, in the order of ``Phase/allCases``.
    public let phases: [Double]
    /// Seconds of a step on rank 0.
    public let step: Double

    public init(phases: [Double], step: Double) {
      precondition(phases.count == Phase.allCases.count, "there is a time for every phase")
      self.phases = phases
      self.step = step
    }
  }

  /// Nil where the run was not planned with costs.
  public var prediction: Prediction?

  public init(ranks: [RankTimes], steps: Int, samples: Int) {
    self.ranks = ranks
    self.steps = steps
    self.samples = samples
  }

  /// The longest loop of any rank, in seconds.
  public var loopSeconds: Double { ranks.map(\.loopSeconds).max() ?? 0 }

  /// Samples per second of the longest loop; 0 where no time passed.
  public var samplesPerSecond: Double { loopSeconds > 0 ? Double(samples) / loopSeconds : 0 }

  /// A phase's shortest, mean and longest time over ranks, and its share of all ranks' time.
  public struct PhaseTimes: Equatable, Sendable {
    public let phase: Phase
    public let minimum: Double
    public let mean: Double
    public let maximum: Double
    public let share: Double
  }

  /// The phases that took time on some rank, in their order.
  public var phases: [PhaseTimes] {
    let perRank = ranks.map(\.complete)
    let total = perRank.reduce(0) { $0 + $1.reduce(0, +) }
    return Phase.allCases.enumerated().compactMap { index, phase in
      let times = perRank.map { $0[index] }
      guard let longest = times.max(), let shortest = times.min(), longest > 0 else { return nil }
      let sum = times.reduce(0, +)
      return PhaseTimes(
        phase: phase, minimum: shortest, mean: sum / Double(times.count), maximum: longest, share: sum / total
      )
    }
  }

  // MARK: - Text and JSON

  /// The table that a run prints at its end.
  public var text: String {
    var table = TextTable(
      heading: ["where the time went", "min s", "mean s", "max s", "share"]
        + (prediction == nil ? [] : ["predicted s"]))
    for times in phases {
      table.add(
        [
          times.phase.rawValue, fixed(times.minimum, 3), fixed(times.mean, 3), fixed(times.maximum, 3),
          fixed(100 * times.share, 1) + " %",
        ] + predictedCell(times.phase))
    }
    let loops = ranks.map(\.loopSeconds)
    if !loops.isEmpty {
      table.add(
        [
          "total", fixed(loops.min()!, 3), fixed(loops.reduce(0, +) / Double(loops.count), 3),
          fixed(loops.max()!, 3),
          "100.0 %",
        ] + (prediction == nil ? [] : [""]))
    }
    var text = table.text
    text += "\(steps) steps, \(samples) samples in \(fixed(loopSeconds, 3)) s: "
    text += "\(fixed(samplesPerSecond, 0)) samples/s over \(ranks.count) rank\(ranks.count == 1 ? "" : "s")\n"
    if let prediction, let measured = quantile(0.5) {
      text += "a step on rank 0: predicted \(fixed(prediction.step * 1e3, 3)) ms, measured "
      text += "\(fixed(measured * 1e3, 3)) ms (median), ratio \(fixed(prediction.step / measured, 2))\n"
    }
    let memory = ranks.map { "rank \($0.rank) \(bytesText($0.peakMemory))" }
    text += "peak resident memory: " + memory.joined(separator: ", ") + "\n"
    return text
  }

  /// The predicted seconds of all steps in a phase; no cell where nothing was predicted.
  private func predictedCell(_ phase: Phase) -> [String] {
    guard let prediction else { return [] }
    guard phase != .evaluation, phase != .checkpoint else { return ["-"] }
    return [fixed(prediction.phases[phase.index] * Double(steps), 3)]
  }

  /// The given share of the steps took no longer; nil without a step.
  public func quantile(_ share: Double) -> Double? {
    guard !stepSeconds.isEmpty else { return nil }
    return stepSeconds[min(Int(share * Double(stepSeconds.count)), stepSeconds.count - 1)]
  }

  public var json: JSONValue {
    [
      "steps": .integer(steps),
      "samples": .integer(samples),
      "loop_seconds": .number(loopSeconds),
      "samples_per_second": .number(samplesPerSecond),
      "step_seconds_median": JSONValue(quantile(0.5)),
      "step_seconds_p10": JSONValue(quantile(0.1)),
      "step_seconds_p90": JSONValue(quantile(0.9)),
      "predicted_step_seconds": JSONValue(prediction?.step),
      "predicted_phase_seconds": prediction.map { found in
        .object(zip(Phase.allCases, found.phases).map { .init(key: $0.key, value: .number($1)) })
      } ?? .null,
      "phases": .array(
        phases.map {
          [
            "phase": .string($0.phase.key), "min_seconds": .number($0.minimum),
            "mean_seconds": .number($0.mean),
            "max_seconds": .number($0.maximum), "share": .number($0.share),
          ]
        }),
      "ranks": .array(
        ranks.map { rank in
          [
            "rank": .integer(rank.rank), "host": .string(rank.host),
            "loop_seconds": .number(rank.loopSeconds),
            "peak_memory_bytes": .integer(rank.peakMemory),
            "seconds": .object(
              zip(Phase.allCases, rank.complete).map { .init(key: $0.key, value: .number($1)) }),
          ]
        }),
    ]
  }
}

extension Phase {
  /// The phase's name in JSON.
  package var key: String { String(rawValue.map { $0 == " " ? "_" : $0 }) }
}
