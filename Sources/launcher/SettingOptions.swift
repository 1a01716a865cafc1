import ArgumentParser
import Files
package import Training

/// What a command does where a setting is not given.
package protocol SettingDefaults {
  static func text(_ setting: Setting) -> String
}

package enum TrainingDefaults: SettingDefaults {
  package static func text(_ setting: Setting) -> String {
    setting.defaultText.text(as: .options)
  }
}

package enum DistillationDefaults: SettingDefaults {
  package static func text(_ setting: Setting) -> String {
    Distillation.defaultText(setting).text(as: .options)
  }
}

/// The settings of a run as options, one for each that ``ConfigurationSchema`` has, below the headings of its sections.
///
/// The parser finds the options of a type in the mirror of a new value, and decodes their values by the same names. Where
/// others have properties for both, a section of settings makes them from the schema.
package struct SettingOptions<Defaults: SettingDefaults>: ParsableArguments, CustomReflectable {
  /// What was given, by key.
  private var texts: [String: String] = [:]

  package init() {}

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: OptionName.self)
    for section in Self.sections { try texts.merge(section.texts(in: container)) { _, last in last } }
  }

  package var customMirror: Mirror { Mirror(self, children: Self.sections.map { $0.group }) }

  /// What was given on the command line, in the order of the schema.
  package var layer: ConfigurationLayer {
    ConfigurationLayer(
      commandLine: ConfigurationSchema.settings.compactMap { setting in
        texts[setting.key].map { (key: setting.key, text: $0) }
      })
  }

  /// A type for each, because the parser asks types for their options.
  private static var sections: [any Section.Type] {
    let sections: [any Section.Type] = [
      SettingSection<Defaults, 0>.self, SettingSection<Defaults, 1>.self, SettingSection<Defaults, 2>.self,
      SettingSection<Defaults, 3>.self, SettingSection<Defaults, 4>.self, SettingSection<Defaults, 5>.self,
      SettingSection<Defaults, 6>.self, SettingSection<Defaults, 7>.self,
    ]
    precondition(sections.count == ConfigurationSchema.sections.count, "a group of settings has no options")
    return sections
  }
}

/// The name by which the parser knows an option or a section.
private struct OptionName: CodingKey {
  let stringValue: String
  var intValue: Int? { nil }

  init(stringValue: String) { self.stringValue = stringValue }
  init?(intValue: Int) { nil }
}

/// The options below one heading.
private protocol Section: ParsableArguments {
  static var index: Int { get }
  /// What was given, by key.
  var texts: [String: String] { get }
}

extension Section {
  private static var name: OptionName { OptionName(stringValue: "section\(index)") }

  fileprivate static var group: (label: String?, value: Any) {
    (name.stringValue, OptionGroup<Self>(title: ConfigurationSchema.sections[index].title))
  }

  fileprivate static func texts(in container: KeyedDecodingContainer<OptionName>) throws -> [String: String] {
    try container.decode(OptionGroup<Self>.self, forKey: name).wrappedValue.texts
  }
}

private struct SettingSection<Defaults: SettingDefaults, let number: Int>: Section, CustomReflectable {
  static var index: Int { number }
  private(set) var texts: [String: String] = [:]

  private static var settings: [Setting] { ConfigurationSchema.sections[number].settings }

  init() {}

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: OptionName.self)
    for setting in Self.settings {
      let name = OptionName(stringValue: setting.key)
      texts[setting.key] =
        setting.isSwitch
        ? try container.decode(Flag<Bool?>.self, forKey: name).wrappedValue.map { $0 ? "true" : "false" }
        : try container.decode(Option<String?>.self, forKey: name).wrappedValue
    }
  }

  var customMirror: Mirror { Mirror(self, children: Self.settings.map { ($0.key, Self.option($0)) }) }

  private static func option(_ setting: Setting) -> Any {
    let name = NameSpecification.customLong(setting.key)
    let help = ArgumentHelp(
      "\(setting.help.text(as: .options)) (default: \(Defaults.text(setting)))",
      valueName: setting.placeholder.isEmpty ? nil : setting.placeholder)
    return setting.isSwitch
      ? Flag<Bool?>(name: name, inversion: .prefixedNo, help: help)
      : Option<String?>(name: name, help: help, completion: completion(setting))
  }

  /// What a shell offers for the value.
  private static func completion(_ setting: Setting) -> CompletionKind? {
    guard setting.suggestions.isEmpty else { return .list(setting.suggestions) }
    switch setting.placeholder {
    case "FILE", "FILE|RUN": return .file()
    case "DIR": return .directory
    default: return nil
    }
  }
}
