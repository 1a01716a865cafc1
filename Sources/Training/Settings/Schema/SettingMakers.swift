internal import Files

// One maker per kind of value.

extension Setting {
  typealias Field<Value> = any WritableKeyPath<Configuration, Value> & Sendable

  static func whole(
    _ key: String, _ field: Field<Int>, _ effect: Effect, in range: ClosedRange<Int>,
    default byDefault: Message? = nil,
    _ help: Message
  ) -> Setting {
    make(
      key, "N", effect, byDefault ?? "\(Configuration()[keyPath: field])", help,
      field: field, text: { String($0[keyPath: field]) },
      assign: { configuration, text in
        guard let value = Int(text), range.contains(value) else { return wholeWords(range) }
        configuration[keyPath: field] = value
        return nil
      })
  }

  static func optionalWhole(
    _ key: String, _ field: Field<Int?>, _ effect: Effect, in range: ClosedRange<Int>,
    default byDefault: Message,
    _ help: Message
  ) -> Setting {
    make(
      key, "N", effect, byDefault, help,
      field: field, text: { $0[keyPath: field].map { String($0) } },
      assign: { configuration, text in
        guard let value = Int(text), range.contains(value) else { return wholeWords(range) }
        configuration[keyPath: field] = value
        return nil
      })
  }

  static func seed(_ key: String, _ field: Field<UInt64>, _ help: Message) -> Setting {
    make(
      key, "N", .values, "\(Configuration()[keyPath: field])", help,
      field: field, text: { String($0[keyPath: field]) },
      assign: { configuration, text in
        guard let value = UInt64(text) else { return "a whole number from 0 to \(UInt64.max)" }
        configuration[keyPath: field] = value
        return nil
      })
  }

  static func real(
    _ key: String, _ field: Field<Double>, _ effect: Effect, _ placeholder: String = "X",
    default byDefault: Message? = nil, precision: Precision = .single,
    where isAllowed: @escaping @Sendable (Double) -> Bool, expected: String, _ help: Message
  ) -> Setting {
    make(
      key, placeholder, effect, byDefault ?? Message(numberText(Configuration()[keyPath: field])), help,
      field: field, text: { numberText($0[keyPath: field]) },
      assign: { configuration, text in
        guard let value = number(text), isAllowed(value) else { return expected }
        guard precision.holds(value) else { return expected + Precision.limits }
        configuration[keyPath: field] = value
        return nil
      })
  }

  static func optionalReal(
    _ key: String, _ field: Field<Double?>, _ effect: Effect, _ placeholder: String,
    default byDefault: Message, precision: Precision = .single,
    where isAllowed: @escaping @Sendable (Double) -> Bool, expected: String, _ help: Message
  ) -> Setting {
    make(
      key, placeholder, effect, byDefault, help,
      field: field, text: { $0[keyPath: field].map(numberText) },
      assign: { configuration, text in
        guard let value = number(text), isAllowed(value) else { return expected }
        guard precision.holds(value) else { return expected + Precision.limits }
        configuration[keyPath: field] = value
        return nil
      })
  }

  static func list(
    _ key: String, _ field: Field<[Double]?>, _ effect: Effect, default byDefault: Message,
    where isAllowed: @escaping @Sendable (Double) -> Bool, expected: String, _ help: Message
  ) -> Setting {
    make(
      key, "X,…", effect, byDefault, help,
      field: field, text: { $0[keyPath: field].map { $0.map(numberText).joined(separator: ",") } },
      assign: { configuration, text in
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        let values = parts.compactMap { number(String($0)) }
        guard values.count == parts.count, values.allSatisfy(isAllowed) else { return expected }
        guard values.allSatisfy(Precision.single.holds) else { return expected + Precision.limits }
        configuration[keyPath: field] = values
        return nil
      })
  }

  static func choice<Value: RawRepresentable & CaseIterable & Sendable>(
    _ key: String, _ field: Field<Value>, _ effect: Effect, default byDefault: Message? = nil, _ help: Message
  ) -> Setting where Value.RawValue == String {
    let words = Value.allCases.map(\.rawValue)
    return make(
      key, words.joined(separator: "|"), effect,
      byDefault ?? Message(Configuration()[keyPath: field].rawValue), help,
      choices: words,
      field: field, text: { $0[keyPath: field].rawValue },
      assign: { configuration, text in
        guard let value = Value(rawValue: text) else {
          return words.joined(separator: ", ") + didYouMean(text, among: words)
        }
        configuration[keyPath: field] = value
        return nil
      })
  }

  static func onOff(_ key: String, _ field: Field<Bool>, _ effect: Effect, _ help: Message) -> Setting {
    make(
      key, "", effect, "\(Configuration()[keyPath: field])", help, isSwitch: true,
      field: field, text: { String($0[keyPath: field]) },
      assign: { configuration, text in
        guard let value = Bool(text) else { return "true or false" }
        configuration[keyPath: field] = value
        return nil
      })
  }

  static func word(
    _ key: String, _ field: Field<String>, _ effect: Effect, _ placeholder: String,
    default byDefault: Message? = nil,
    where isAllowed: @escaping @Sendable (String) -> Bool = { _ in true }, expected: String = "a word",
    _ help: Message
  ) -> Setting {
    make(
      key, placeholder, effect, byDefault ?? Message(Configuration()[keyPath: field]), help,
      field: field, text: { $0[keyPath: field] },
      assign: { configuration, text in
        guard !text.isEmpty, isAllowed(text) else { return expected }
        configuration[keyPath: field] = text
        return nil
      })
  }

  static func optionalWord(
    _ key: String, _ field: Field<String?>, _ effect: Effect, _ placeholder: String,
    default byDefault: Message,
    where isAllowed: @escaping @Sendable (String) -> Bool, expected: String, _ help: Message
  ) -> Setting {
    make(
      key, placeholder, effect, byDefault, help,
      field: field, text: { $0[keyPath: field] },
      assign: { configuration, text in
        guard isAllowed(text) else { return expected }
        configuration[keyPath: field] = text
        return nil
      })
  }

  static func path(
    _ key: String, _ field: Field<String?>, _ effect: Effect, _ placeholder: String,
    default byDefault: Message,
    _ help: Message
  ) -> Setting {
    make(
      key, placeholder, effect, byDefault, help,
      field: field, text: { $0[keyPath: field] },
      assign: { configuration, text in
        guard !text.isEmpty, !text.utf8.contains(0) else { return "a path" }
        configuration[keyPath: field] = text
        return nil
      })
  }

  private static func make<Value>(
    _ key: String, _ placeholder: String, _ effect: Effect, _ byDefault: Message, _ help: Message,
    choices: [String] = [], isSwitch: Bool = false, field: Field<Value>,
    text: @escaping @Sendable (Configuration) -> String?,
    assign: @escaping @Sendable (inout Configuration, String) -> String?
  ) -> Setting {
    Setting(
      key: key, placeholder: placeholder, help: help, defaultText: byDefault, effect: effect,
      choices: choices, isSwitch: isSwitch, text: text, assign: assign,
      reset: { $0[keyPath: field] = Configuration.neutral[keyPath: field] })
  }
}

/// What a real setting is computed with.
enum Precision {
  /// The arithmetic of steps, in which numbers beside its range are infinite or zero.
  case single
  /// Shares and seconds.
  case double

  /// Whether a value is neither infinite nor lost; then its inverse is finite, too.
  func holds(_ value: Double) -> Bool { self == .double || value == 0 || Float(value).isNormal }

  /// The end of what is expected, for a number that is not held.
  static let limits = "; not 0, its size is from 1.2e-38 to 3.4e38, as single precision has it"
}

/// A finite number; `inf` and `nan` are no values of any setting.
private func number(_ text: String) -> Double? {
  guard let value = Double(text), value.isFinite else { return nil }
  return value
}

/// The shortest text that reads back as the same number, without a fraction where there is none.
private func numberText(_ value: Double) -> String {
  let text = String(value)
  return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
}

private func wholeWords(_ range: ClosedRange<Int>) -> String {
  range.upperBound == .max
    ? "a whole number, at least \(range.lowerBound)"
    : "a whole number from \(range.lowerBound) to \(range.upperBound)"
}
