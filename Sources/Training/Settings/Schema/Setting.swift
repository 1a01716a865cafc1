public import Files

/// One setting of a ``Configuration``: its name on the command line and in YAML, its help, its check, its text.
public struct Setting: Sendable {
  /// What a setting has an effect on, and thereby whether it may change when a run is resumed.
  public enum Effect: Sendable {
    /// Determines the trained values: stored in every checkpoint, must agree at a resume.
    case values
    /// Determines how a run starts; without effect at a resume.
    case start
    /// Changes no value: free at a resume.
    case run
  }

  /// What settings are about, in the order in which help texts and `config.yaml` list them.
  public enum Group: CaseIterable, Sendable {
    case data, model, routing, losses, training, ranks, kept

    /// The heading of a help text.
    public var title: String {
      switch self {
      case .data: "Data"
      case .model: "Model"
      case .routing: "Routing"
      case .losses: "Losses of the choice"
      case .training: "Training"
      case .ranks: "Ranks"
      case .kept: "What is kept"
      }
    }
  }

  /// The name, in kebab case: `--batch-size` and `batch-size:`.
  public let key: String
  /// What the value is called in a help text, e.g. `N`, `FILE`; empty for a switch.
  public let placeholder: String
  /// What it does, with its unit.
  public let help: Message
  /// The default in words.
  public let defaultText: Message
  public let effect: Effect
  /// That of the list in which ``ConfigurationSchema`` has it.
  public private(set) var group = Group.data
  /// Whether it is one of the few that most runs give.
  public private(set) var isMostUsed = false
  /// What must hold for it to make a difference; the first that does not is the reason that a user is told.
  private var conditions: [Condition] = []
  /// Whether ranks may have it differently, because it is about the host that each is on.
  public private(set) var mayDiffer = false
  /// Whether it belongs in a run's `config.yaml`.
  public private(set) var isSaved = true
  /// Whether every checkpoint has it. One that came later has its default where a checkpoint of before lacks it.
  public private(set) var isInEveryCheckpoint = true
  /// What files of an earlier version call it.
  public private(set) var earlierKey: String?
  /// The allowed words; empty where the value is not one of a few words.
  public let choices: [String]
  /// Words that a shell offers: the allowed ones, or some of them.
  public private(set) var suggestions: [String]
  /// Whether it is on or off: `--shuffle`, `--no-shuffle`, `shuffle: true`.
  public let isSwitch: Bool
  /// The value as text; nil where none is set.
  public let text: @Sendable (Configuration) -> String?
  /// Sets the value from text; returns what was expected where the text cannot be a value.
  let assign: @Sendable (inout Configuration, String) -> String?
  /// Sets the value that describes what happens where the setting makes no difference, see ``Configuration/neutral``.
  let reset: @Sendable (inout Configuration) -> Void

  init(
    key: String, placeholder: String, help: Message, defaultText: Message, effect: Effect, choices: [String],
    isSwitch: Bool, text: @escaping @Sendable (Configuration) -> String?,
    assign: @escaping @Sendable (inout Configuration, String) -> String?,
    reset: @escaping @Sendable (inout Configuration) -> Void
  ) {
    self.key = key
    self.placeholder = placeholder
    self.help = help
    self.defaultText = defaultText
    self.effect = effect
    self.choices = choices
    // Of `auto|block|R,R,…`, what is to be typed as it stands.
    let words = placeholder.split(separator: "|").map { String($0) }
    suggestions =
      choices.isEmpty ? words.filter { $0.allSatisfy { $0.isLowercase || $0 == "-" } } : choices
    self.isSwitch = isSwitch
    self.text = text
    self.assign = assign
    self.reset = reset
  }

  /// Why it makes no difference, such as `with combine expectation`; nil where it does.
  func objection(_ configuration: Configuration) -> Message? {
    for condition in conditions {
      if let objection = condition.objection(configuration) { return objection }
    }
    return nil
  }
}

// MARK: What an entry of the schema says beyond its value

extension Setting {
  /// The same setting, kept out of `config.yaml`.
  func unsaved() -> Setting { changed { $0.isSaved = false } }

  /// The same setting, which is each rank's own.
  func ofEveryHost() -> Setting { changed { $0.mayDiffer = true } }

  /// The same setting, which checkpoints of the first version lack.
  func addedLater() -> Setting { changed { $0.isInEveryCheckpoint = false } }

  /// The same setting, which files of an earlier version have under another name.
  func formerly(_ key: String) -> Setting { changed { $0.earlierKey = key } }

  /// The same setting, at the beginning of help texts.
  func mostUsed() -> Setting { changed { $0.isMostUsed = true } }

  /// The same setting, which makes a difference under these conditions alone.
  func applies(_ conditions: Condition...) -> Setting { applies(conditions) }

  func applies(_ conditions: [Condition]) -> Setting { changed { $0.conditions = conditions } }

  /// The same setting, for which a shell offers these words.
  func suggesting(_ words: [String]) -> Setting { changed { $0.suggestions = words } }

  func placed(in group: Group) -> Setting { changed { $0.group = group } }

  private func changed(_ change: (inout Setting) -> Void) -> Setting {
    var setting = self
    change(&setting)
    return setting
  }
}
