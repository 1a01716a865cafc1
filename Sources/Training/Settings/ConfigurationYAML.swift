public import Files
internal import Yams

// A configuration file is flat: one key and one value a line. Anchors, aliases and tags have no use there and are the
// way to make a small file large or a value something else than it looks like, so they are refused.

extension ConfigurationLayer {
  /// Bytes that a configuration file may have.
  public static let largestFile = 262_144

  /// Reads a YAML file of settings: `key: value` lines, where a list may stand for comma-separated values.
  ///
  /// - Parameters:
  ///   - yaml: the file's text.
  ///   - file: its name, for messages.
  /// - Throws: ``Failure`` with the exit code for wrong usage, at `file:line:column`.
  public init(yaml: String, file: String) throws(Failure) {
    guard yaml.utf8.count <= Self.largestFile else {
      throw Failure(
        .usage, "\(file): \(yaml.utf8.count) bytes; a configuration has at most \(Self.largestFile)")
    }
    if let found = YAMLIndicator.first(in: yaml) {
      throw Failure(
        .usage, "\(file):\(found.line):\(found.column): \(found.name) are not allowed in a configuration")
    }
    let root: Node?
    do {
      root = try compose(yaml: yaml, .default, .default, .utf8)
    } catch {
      throw Self.failure(error, file: file)
    }
    entries = []
    guard let root else { return }
    func place(_ node: Node) -> (line: Int, column: Int) { (node.mark?.line ?? 1, node.mark?.column ?? 1) }
    func refuse(_ node: Node, _ words: Message) -> Failure {
      Failure(.usage, "\(file):\(place(node).line):\(place(node).column): \(words)")
    }
    guard let mapping = root.mapping else { throw refuse(root, "expected lines of the form 'key: value'") }
    for (keyNode, value) in mapping {
      guard let word = keyNode.scalar?.string else { throw refuse(keyNode, "a key is one word") }
      let found = ConfigurationSchema.setting(word) ?? ConfigurationSchema.setting(earlierKey: word)
      guard let setting = found else {
        throw refuse(keyNode, "unknown key '\(word)'\(settingHint(word))")
      }
      let key = setting.key
      let text: String
      switch value {
      case .scalar(let scalar): text = scalar.string
      case .sequence(let list):
        let items = list.compactMap { $0.scalar?.string }
        guard items.count == list.count else {
          throw refuse(value, "'\(key)' takes one value or a list of numbers")
        }
        text = items.joined(separator: ",")
      case .mapping, .alias: throw refuse(value, "'\(key)' takes one value; settings are not nested")
      }
      if text.isEmpty { throw refuse(keyNode, "'\(key)' has no value; leave the line out for the default") }
      let (line, column) = place(value)
      let entry = Entry(
        key: key, text: setting.isSwitch ? text.lowercased() : text,
        origin: .file(file, line: line, column: column))
      var scratch = Configuration()
      try scratch.apply(entry)
      entries.append(entry)
    }
  }

  /// Reads a file of settings.
  ///
  /// - Parameters:
  ///   - ifMissing: what to take where there is no such file; nil: that is an error.
  ///   - followingLinks: whether it may be a link: one that a user names may, one inside a run may not.
  /// - Throws: ``Failure``: not found, not readable, or not what a configuration may be.
  public init(
    file: String, ifMissing: ConfigurationLayer? = nil, followingLinks: Bool = true
  ) throws(Failure) {
    guard let bytes = try SafeFile.read(file, limit: 16 * Self.largestFile, followingLinks: followingLinks)
    else {
      guard let ifMissing else {
        throw Failure(.notFound, "configuration file \(file) not found; give one that exists")
      }
      self = ifMissing
      return
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Failure(.usage, "\(file): not UTF-8; a configuration is a text file")
    }
    try self.init(yaml: text, file: file)
  }

  private static func failure(_ error: any Error, file: String) -> Failure {
    guard let error = error as? YamlError else { return Failure(.usage, "\(file): no valid YAML") }
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      return Failure(.usage, "\(file):\(mark.line):\(mark.column): \(problem)")
    case .duplicatedKeysInMapping(let keys, let context):
      return Failure(
        .usage, "\(file):\(context.mark.line):\(context.mark.column): key '\(keys[0])' occurs more than once")
    case .reader(let problem, let offset, _, _):
      return Failure(.usage, "\(file): \(problem)\(offset.map { " at character \($0)" } ?? "")")
    default: return Failure(.usage, "\(file): no valid YAML")
    }
  }
}

extension Configuration {
  /// The settings as YAML, a line each in the order of the schema: reading it gives the same configuration.
  public var yaml: String {
    ConfigurationSchema.settings.filter(\.isSaved).compactMap { setting in
      setting.text(self).map { "\(setting.key): \(Self.yamlScalar($0))\n" }
    }.joined()
  }

  /// Plain where every YAML reader takes it for the same value, otherwise in double quotes.
  private static func yamlScalar(_ text: String) -> String {
    let isPlain =
      text.unicodeScalars.allSatisfy { scalar in
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "-", "_", ".", "/", ",", "+": true
        default: false
        }
      } && !text.isEmpty && !"-.,+".contains(text.first!)
      && !["null", "yes", "no", "on", "off"].contains(text.lowercased())
    if isPlain { return text }
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\n": quoted += "\\n"
      case "\t": quoted += "\\t"
      case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value):
        let hex = String(scalar.value, radix: 16, uppercase: true)
        quoted += "\\x" + String(repeating: "0", count: 2 - hex.count) + hex
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
