public import Files
package import Records
public import Training

/// A run's measured step beside the predicted one.
public struct RunComparison: Sendable {
  package struct Row: Equatable, Sendable {
    package let phase: Phase
    /// Seconds per step on the rank that took longest.
    package let predicted: Double
    package let measured: Double
  }

  package let rows: [Row]
  public let ranks: Int
  /// Seconds of a step on rank 0.
  public let predictedStep: Double
  public let measuredStep: Double
  public var ratio: Double { predictedStep / measuredStep }

  /// Phases of a run that are no part of a step.
  private static let beside: [Phase] = [.evaluation, .checkpoint]

  /// - Parameters:
  ///   - path: the run's `summary.json`.
  ///   - model: makes the cost model for the run's number of ranks.
  /// - Throws: ``Failure`` where the file is not there or is none.
  public init(summary path: String, costs: StepCosts, outline: ModelOutline, links: Links) throws(Failure) {
    guard let bytes = try SafeFile.read(path, limit: 64 << 20, followingLinks: false) else {
      throw Failure(
        .notFound, "there is no \(path); give the directory of a finished run to \(setting: "against")")
    }
    let wrong = Failure(.badData, "\(path): is not the summary of a run that did steps")
    let json: JSONValue
    do { json = try JSONValue(parsing: bytes) } catch { throw wrong }
    guard let timing = json["timing"], let steps = timing["steps"]?.integerValue, steps > 0,
      let median = timing["step_seconds_median"]?.numberValue, median > 0,
      case .array(let ranks)? = timing["ranks"], !ranks.isEmpty, case .array(let phases)? = timing["phases"],
      case .array(let experts)? = json["account"]?["experts"]
    else { throw wrong }
    self.ranks = ranks.count
    let onFirst = experts.filter { $0["rank"]?.integerValue == 0 }.count
    let prediction = StepModel(outline, try costs.fitted(to: outline), links).predict(
      ranks: ranks.count, gate: outline.gatePlacement, expertsOnFirst: onFirst)
    var measured = [Double](repeating: 0, count: Phase.allCases.count)
    for item in phases {
      guard let phase = Phase.allCases.first(where: { $0.key == item["phase"]?.stringValue }),
        let seconds = item["max_seconds"]?.numberValue
      else { continue }
      measured[phase.index] = seconds / Double(steps)
    }
    rows = Phase.allCases.filter { !RunComparison.beside.contains($0) }.compactMap { phase in
      let row = Row(
        phase: phase, predicted: prediction.longest[phase.index], measured: measured[phase.index])
      return row.predicted > 0 || row.measured > 0 ? row : nil
    }
    predictedStep = prediction.step
    measuredStep = median
  }

  /// The comparison as a table.
  public var text: String {
    var table = TextTable(heading: ["ms per step, longest rank", "predicted", "measured", "ratio"])
    func line(_ name: String, _ predicted: Double, _ measured: Double) {
      table.add([
        name, fixed(predicted * 1e3, 3), fixed(measured * 1e3, 3),
        measured > 0 ? fixed(predicted / measured, 2) : "-",
      ])
    }
    for row in rows { line(row.phase.rawValue, row.predicted, row.measured) }
    line("step (median, rank 0)", predictedStep, measuredStep)
    return table.text
      + "phases are means over the run, its start and its end among them; the step is the median\n"
  }

  public var json: JSONValue {
    [
      "ranks": .integer(ranks), "predicted_step_seconds": .number(predictedStep),
      "measured_step_seconds": .number(measuredStep), "ratio": .number(ratio),
      "phases": .array(
        rows.map {
          [
            "phase": .string($0.phase.key), "predicted_seconds": .number($0.predicted),
            "measured_seconds": .number($0.measured),
          ]
        }),
    ]
  }
}
