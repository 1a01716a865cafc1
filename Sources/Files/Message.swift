/// A text for people that may name settings, whose spelling is left to whoever shows it.
///
/// The library speaks of settings; a program that has them as options shows the same text with options:
///
///     let message: Message = "\(setting: "top-k", 5) is not between 1 and 4"
///     message.description          // top-k 5 is not between 1 and 4
///     message.text(as: .options)   // --top-k 5 is not between 1 and 4
public struct Message: Equatable, Sendable {
  /// How settings are spelled.
  public enum Spelling: Sendable {
    /// By name and value: `top-k 5`, `shuffle false`.
    case settings
    /// As options of a command line: `--top-k 5`, `--no-shuffle`.
    case options
  }

  private enum Part: Equatable, Sendable {
    case text(String)
    case setting(String)
    /// A setting that is on or off.
    case toggle(String, Bool)
  }

  /// Never two texts in a row, so that equal messages have equal parts.
  private var parts: [Part] = []

  /// A text that names no settings.
  public init(_ text: String) { append(.text(text)) }

  private init() {}

  public func text(as spelling: Spelling) -> String {
    parts.map { part in
      switch (part, spelling) {
      case (.text(let text), _): text
      case (.setting(let name), .settings): name
      case (.setting(let name), .options): "--\(name)"
      case (.toggle(let name, let isOn), .settings): "\(name) \(isOn)"
      case (.toggle(let name, let isOn), .options): isOn ? "--\(name)" : "--no-\(name)"
      }
    }.joined()
  }

  public static func + (first: Message, second: Message) -> Message {
    var sum = first
    for part in second.parts { sum.append(part) }
    return sum
  }

  /// Several in a row: `a`, `a or b`, `a, b or c`.
  package static func list(_ messages: [Message], _ link: String) -> Message {
    var list = Message()
    for (index, message) in messages.enumerated() {
      if index > 0 { list.append(.text(index == messages.count - 1 ? " \(link) " : ", ")) }
      list = list + message
    }
    return list
  }

  private mutating func append(_ part: Part) {
    if case .text(let more) = part, case .text(let text)? = parts.last {
      parts[parts.count - 1] = .text(text + more)
    } else if part != .text("") {
      parts.append(part)
    }
  }
}

extension Message: CustomStringConvertible {
  /// The text with settings by their names.
  public var description: String { text(as: .settings) }
}

extension Message: ExpressibleByStringInterpolation {
  public init(stringLiteral text: String) { self.init(text) }

  public init(stringInterpolation: Interpolation) { self = stringInterpolation.message }

  public struct Interpolation: StringInterpolationProtocol {
    fileprivate var message = Message()

    public init(literalCapacity: Int, interpolationCount: Int) {}

    public mutating func appendLiteral(_ literal: String) { message.append(.text(literal)) }

    public mutating func appendInterpolation<Value>(_ value: Value) { message.append(.text("\(value)")) }

    public mutating func appendInterpolation(_ other: Message) { message = message + other }

    /// The name of a setting, in kebab case.
    public mutating func appendInterpolation(setting name: String) { message.append(.setting(name)) }

    /// A setting with its value.
    public mutating func appendInterpolation<Value>(setting name: String, _ value: Value) {
      message.append(.setting(name))
      message.append(.text(" \(value)"))
    }

    /// A setting that is on or off.
    public mutating func appendInterpolation(setting name: String, _ isOn: Bool) {
      message.append(.toggle(name, isOn))
    }
  }
}

extension DefaultStringInterpolation {
  /// Warns where a message would become a string by accident, and its settings text that no one can spell otherwise.
  @available(
    *, deprecated, message: "say how settings are spelled, by text(as:), or make it part of a Message"
  )
  package mutating func appendInterpolation(_ message: Message) { appendInterpolation(message.description) }
}

// MARK: - From rank to rank

extension Message {
  /// The message as text that another rank makes the same message of.
  package var encoded: String {
    JSONValue.array(
      parts.map { part in
        switch part {
        case .text(let text): .string(text)
        case .setting(let name): .object([.init(key: name, value: .null)])
        case .toggle(let name, let isOn): .object([.init(key: name, value: .bool(isOn))])
        }
      }
    ).text()
  }

  /// Reads what ``encoded`` wrote; any other text is a message that names no settings.
  package init(encoded: String) {
    self.init()
    guard case .array(let elements)? = try? JSONValue(parsing: encoded) else {
      append(.text(encoded))
      return
    }
    for element in elements {
      switch element {
      case .string(let text): append(.text(text))
      case .object(let members):
        guard let member = members.first else { continue }
        if case .bool(let isOn) = member.value {
          append(.toggle(member.key, isOn))
        } else {
          append(.setting(member.key))
        }
      default: continue
      }
    }
  }
}
