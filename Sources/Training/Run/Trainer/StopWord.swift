internal import Dist
internal import Files
internal import Records

/// What a rank has to say about stopping and saving: the word that travels with a step. Of several the largest counts.
enum StopWord: Float {
  case none
  /// A checkpoint is wanted; the run goes on.
  case save
  /// The time that was given is over.
  case time
  /// A signal asked for it.
  case signal
  /// The run's file `control` says so.
  case control
  /// The validation error has not fallen for long enough: the run is finished. Said between epochs, by rank 0.
  case patience

  init(_ word: Float) { self = StopWord(rawValue: word) ?? .none }

  /// Why the run stops; nil where it goes on.
  var reason: Message? {
    switch self {
    case .none, .save, .patience: nil
    case .time: "the time given by \(setting: "max-time") is over; continue with \(setting: "resume") auto"
    case .signal: "asked to stop by a signal; continue with \(setting: "resume") auto"
    case .control: "asked to stop by the file 'control'; continue with \(setting: "resume") auto"
    }
  }
}

// MARK: What this rank has to say

extension Trainer {
  var stopWord: StopWord {
    if observer.stopRequested { return .signal }
    let asked = observer.takeSaveRequest() ? StopWord.save : .none
    guard isRoot else { return asked }
    if let word = control() { return word }
    guard let limit = configuration.maxTime else { return asked }
    return PhaseClock.now() - start > limit * 0.99 - lastSaveSeconds ? .time : asked
  }

  /// What the run's file `control` asks for, looked at once a second, on rank 0; it is gone then.
  private func control() -> StopWord? {
    guard let run, PhaseClock.now() - controlSeen >= 1 else { return nil }
    controlSeen = PhaseClock.now()
    guard let word = run.takeControl() else { return nil }
    switch word {
    case "stop": return .control
    case "checkpoint": return .save
    default:
      observer.note(
        "\(run.path)/control says \(quoted(word)), which is neither 'stop' nor 'checkpoint'; it was removed")
      return nil
    }
  }

  /// All ranks learn whether one wants to stop; between epochs, where no step carries the word.
  func agreeToStop(_ raised: Float) throws -> StopWord {
    let patience: StopWord = isRoot && isPatienceOver ? .patience : .none
    let word = max(stopWord.rawValue, isRoot ? raised : 0, patience.rawValue)
    return StopWord(Float(try communicator.allReduceMax(Int(word))))
  }
}
