public import Files

/// Settings from one place, in the order given: a YAML file or the command line.
public struct ConfigurationLayer: Equatable, Sendable {
  /// Where a setting was given.
  public enum Origin: Equatable, Sendable {
    case commandLine
    /// A field of a ``Configuration`` that a program set.
    case program
    case file(String, line: Int, column: Int)
  }

  public struct Entry: Equatable, Sendable {
    public let key: String
    public let text: String
    public let origin: Origin

    public init(key: String, text: String, origin: Origin) {
      self.key = key
      self.text = text
      self.origin = origin
    }

    /// The setting as the user wrote it: `top-k 9`, which can be spelled as an option, or `run.yaml:3:8: top-k: 9`.
    var words: Message {
      switch origin {
      case .commandLine, .program: Setting.words(key, text)
      case .file(let file, let line, let column): "\(file):\(line):\(column): \(key): \(text)"
      }
    }
  }

  public var entries: [Entry]

  public init(entries: [Entry]) { self.entries = entries }

  /// Settings of the command line: key and text.
  public init(commandLine: [(key: String, text: String)]) {
    entries = commandLine.map { Entry(key: $0.key, text: $0.text, origin: .commandLine) }
  }
}

/// A configuration and what is to be said about how it came about.
public struct ResolvedConfiguration: Equatable, Sendable {
  public var configuration: Configuration
  /// The settings that a user gave, by key, whatever their place; the last of each.
  public var given: [String: ConfigurationLayer.Entry]
  /// Settings that were given but have no effect, a sentence each, for the start line.
  public var notes: [Message]
}

extension Setting {
  /// A setting and its value, for a message.
  static func words(_ key: String, _ text: String) -> Message {
    guard ConfigurationSchema.setting(key)?.isSwitch == true else { return "\(setting: key, text)" }
    return "\(setting: key, text == "true")"
  }
}
