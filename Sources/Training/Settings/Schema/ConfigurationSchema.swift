/// Every setting that a user can give, in the order in which help texts and `config.yaml` list them.
///
/// The command line's options and their help, the keys of a YAML file, what may change at a resume, what is said of a
/// setting without effect and the configuration in a checkpoint are all derived from this table: a new setting is one field
/// of ``Configuration`` and one entry in the list of its group.
public enum ConfigurationSchema {
  public static let settings: [Setting] =
    of(.data, dataSettings) + of(.model, modelSettings) + of(.routing, routingSettings)
    + of(.losses, lossSettings) + of(.training, trainingSettings) + of(.ranks, rankSettings)
    + of(.kept, keptSettings)

  /// The setting of a name.
  public static func setting(_ key: String) -> Setting? { settings.first { $0.key == key } }

  /// The setting that files of an earlier version have under this name.
  static func setting(earlierKey key: String) -> Setting? { settings.first { $0.earlierKey == key } }

  /// The headings of a help text with the settings below them, every setting once: the most used, then the others by group.
  public static let sections: [(title: String, settings: [Setting])] =
    [("Most used", settings.filter(\.isMostUsed))]
    + Setting.Group.allCases.map { group in
      (group.title, settings.filter { $0.group == group && !$0.isMostUsed })
    }

  private static func of(_ group: Setting.Group, _ settings: [Setting]) -> [Setting] {
    settings.map { $0.placed(in: group) }
  }
}
