public import Files

extension Configuration {
  /// The settings that determine values, as one line of JSON with sorted keys and every value as its text: what a
  /// checkpoint stores under `configuration`.
  public func valueKeysJSON() -> String {
    let members = ConfigurationSchema.settings.filter { $0.effect == .values }.compactMap { setting in
      setting.text(self).map { JSONValue.Member(key: setting.key, value: .string($0)) }
    }
    return JSONValue.object(members).text()
  }

  /// Reads back what ``valueKeysJSON()`` wrote, now or in an earlier version; everything else has its default.
  ///
  /// - Throws: ``Failure`` with the exit code for bad data.
  public init(valueKeysJSON text: String) throws(Failure) {
    self.init()
    let values: JSONValue
    do {
      values = try JSONValue(parsing: text)
    } catch {
      throw Failure(.badData, "the checkpoint's configuration is no JSON: \(error)")
    }
    guard case .object(let members) = values else {
      throw Failure(.badData, "the checkpoint's configuration is no JSON object")
    }
    for member in members {
      let key = member.key
      guard case .string(let text) = member.value else {
        throw Failure(.badData, "the checkpoint's configuration has a \(key) that is no text")
      }
      guard let setting = ConfigurationSchema.setting(key), setting.effect == .values else {
        throw Failure(
          .badData, "the checkpoint's configuration has the unknown key '\(key)'; is it of another version?")
      }
      if let expected = setting.assign(&self, text) {
        throw Failure(.badData, "the checkpoint's configuration has \(key) '\(text)'; expected \(expected)")
      }
    }
    for setting in ConfigurationSchema.settings where setting.effect == .values && setting.isInEveryCheckpoint
    {
      guard values[setting.key] == nil, setting.text(self) != nil else { continue }
      throw Failure(.badData, "the checkpoint's configuration lacks the key '\(setting.key)'")
    }
  }

  /// The configuration of a run that was stopped before its first checkpoint and begins again: that of its own
  /// `config.yaml`; what the user gives again must agree unless it changes no value.
  ///
  /// - Parameters:
  ///   - earlier: the run's `config.yaml`; empty where it was not written yet.
  ///   - layers: what the user gives now.
  ///   - file: where `earlier` stands, for the message.
  /// - Throws: ``Failure`` with the exit code for wrong usage that names both values.
  static func beginningAgain(
    _ earlier: ConfigurationLayer, _ layers: [ConfigurationLayer], file: String
  ) throws(Failure) -> ResolvedConfiguration {
    guard !earlier.entries.isEmpty else { return try resolve(layers) }
    let before = try resolve([earlier]).configuration
    let resolved = try resolve([earlier] + layers)
    for entry in layers.flatMap(\.entries) {
      guard let setting = ConfigurationSchema.setting(entry.key), setting.effect != .run else { continue }
      guard setting.text(resolved.configuration) != setting.text(before) else { continue }
      throw Failure(
        .usage,
        "\(entry.words) differs from \(file), with which the run began (\(setting.key) "
          + "\(setting.text(before) ?? "unset")); leave it out to begin that run again, or choose another with \(setting: "run-dir")"
      )
    }
    return resolved
  }

  /// The configuration of a resumed run: what determines values comes from the checkpoint, the rest from the run's own
  /// `config.yaml`, and what the user gives again must agree unless it changes no value.
  ///
  /// - Parameters:
  ///   - stored: the checkpoint's configuration.
  ///   - earlier: the run's `config.yaml`; empty where there is none.
  ///   - layers: what the user gives now.
  ///   - checkpoint: the checkpoint's name, for the message.
  /// - Throws: ``Failure`` with the exit code for wrong usage that names both values.
  public static func resuming(
    from stored: Configuration, earlier: ConfigurationLayer, _ layers: [ConfigurationLayer],
    checkpoint: String
  ) throws(Failure) -> ResolvedConfiguration {
    let dataset = ConfigurationLayer(commandLine: [("dataset", stored.dataset)])
    let kept = try resolve([dataset, earlier, dataset]).configuration
    var base = stored
    for setting in ConfigurationSchema.settings where setting.effect != .values {
      if let text = setting.text(kept) { _ = setting.assign(&base, text) }
    }
    let entries = layers.flatMap(\.entries)
    var resolved = try base.applying(entries)
    // What follows from other settings is no contradiction; only what was given can be one.
    for setting in ConfigurationSchema.settings
    where setting.effect == .values && resolved.given[setting.key] == nil {
      if let text = setting.text(stored) { _ = setting.assign(&resolved.configuration, text) }
    }
    // The checkpoint has the number that `dataset` meant; see `checkScale`.
    if resolved.given["similarity-scale"]?.text == "dataset" {
      resolved.configuration.similarityScale = stored.similarityScale
    }
    for setting in ConfigurationSchema.settings {
      guard let entry = resolved.given[setting.key] else { continue }
      switch setting.effect {
      case .run: continue
      case .start:
        resolved.notes.append(
          "\(Setting.words(entry.key, entry.text)) has no effect on a resumed run")
      case .values:
        let now = setting.text(resolved.configuration)
        let then = setting.text(base)
        guard now != then else { continue }
        // `dataset` stands for a number that the data give; the trainer, which has them, compares the two.
        if setting.key == "similarity-scale", now == "dataset", then.flatMap(Double.init) != nil { continue }
        throw Failure(
          .usage,
          "\(entry.words) differs from \(checkpoint), which was trained with \(setting.key) \(then ?? "unset"); "
            + "leave it out to resume, or start a new run")
      }
    }
    return resolved
  }
}
