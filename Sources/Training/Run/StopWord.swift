internal import Files

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
