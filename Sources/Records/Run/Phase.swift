/// Where a rank's time goes. The phases of a run add up to its loop time.
public enum Phase: String, CaseIterable, Sendable {
  case input
  case trunk
  case gate
  case plan
  case dispatch
  case experts
  case combine
  case returning = "return"
  case loss
  case gateBackward = "gate backward"
  case expertBackward = "expert backward"
  case trunkBackward = "trunk backward"
  case optimiser
  case metrics
  case evaluation
  case checkpoint
  case waiting
  case other

  /// Its place among all.
  package var index: Int { Phase.allCases.firstIndex(of: self) ?? 0 }
}

/// Where a process of a run stands: a phase, or what comes before, within and after the phases and is not measured.
public enum RunStage: Hashable, CaseIterable, Sendable {
  /// Before ranks are up.
  case settings
  case data
  case start
  /// Ranks are up, and compare how they were started.
  case agreement
  case model
  /// A piece of a checkpoint is about to be written, by the rank that owns it.
  case checkpointPiece
  /// Lines are about to be added to `metrics.jsonl`, by rank 0.
  case records
  /// The page is about to be made, by rank 0, and the others wait to leave MPI.
  case report
  /// All is done but for leaving MPI.
  case ending
  case phase(Phase)

  public static let allCases: [RunStage] =
    [.settings, .data, .start, .agreement, .model, .checkpointPiece, .records, .report, .ending]
    + Phase.allCases.map { .phase($0) }

  /// As messages say it.
  public var name: String {
    switch self {
    case .settings: "reading settings"
    case .data: "reading data"
    case .start: "MPI start"
    case .agreement: "agreement"
    case .model: "building the model"
    case .checkpointPiece: "writing a checkpoint"
    case .records: "writing metrics"
    case .report: "writing the report"
    case .ending: "ending"
    case .phase(let phase): phase.rawValue
    }
  }

  /// Its place among all.
  package var index: Int { RunStage.allCases.firstIndex(of: self) ?? 0 }
}

/// Called on every rank when a stage begins, with the step; what it throws is an error of this rank.
public typealias StageObserver = (RunStage, Int) throws -> Void
