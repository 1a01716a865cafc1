public import Files
public import Training

/// A run of a study.
public struct StudyRun: Equatable, Sendable {
  /// The name of its directory, the same in every call: method, settings of the grid, seed.
  public let id: String
  package let method: String
  package let candidate: Int
  /// The number of the seed, from 0; the same for all methods' runs that are compared in pairs.
  package let replicate: Int
  /// Every setting, later ones over earlier ones; without the source's path.
  package let settings: [StudySetting]
  /// The run whose final checkpoint it starts from, and the setting that takes the path.
  package let source: String?
  package let sourceKey: String?
  package let isEvaluatedConditionally: Bool
}

extension Study {
  /// The settings that a study gives its runs by itself.
  private static let reserved = [
    "seed", "gate", "run-dir", "checkpoint-every", "checkpoint-every-steps", "keep", "max-time", "init-from",
    "init-only", "init-experts-from",
    "freeze", "distill-from", "expert-classes",
  ]

  /// Checks what a user set for all runs.
  ///
  /// - Throws: ``Failure`` for settings that distinguish the methods or belong to the engine.
  public static func check(overrides: [StudySetting], allowing allowed: [String] = []) throws(Failure) {
    for setting in overrides where reserved.contains(setting.key) && !allowed.contains(setting.key) {
      let instead: Message = setting.key == "seed" ? "; choose how many with \(setting: "seeds")" : ""
      throw Failure(
        .usage,
        "\(setting: "set", setting.words) is not allowed: a study sets '\(setting.key)' by itself\(instead)")
    }
  }

  /// The runs whose settings are known: those of methods that start from a method with a choice of settings follow
  /// when that choice was made.
  ///
  /// - Parameter selections: the chosen candidate by method.
  package func runs(_ selections: [String: Int]) -> [StudyRun] {
    var runs: [StudyRun] = []
    var known: [String: Int] = [:]
    for method in methods {
      let own = selections[method.name] ?? (method.candidates.count == 1 ? 0 : nil)
      var sourceName: String?
      if let source = method.source {
        guard let chosen = known[source.method], let from = self.method(source.method) else { continue }
        sourceName = stem(from, chosen, known)
      }
      if let own { known[method.name] = own }
      for candidate in method.candidates.indices {
        let stem = stem(method, candidate, known)
        for replicate in 0..<seeds {
          runs.append(
            StudyRun(
              id: "\(stem).seed-\(replicate)", method: method.name, candidate: candidate,
              replicate: replicate,
              settings: settings(method, candidate, replicate),
              source: sourceName.map { "\($0).seed-\(replicate)" }, sourceKey: method.source?.key,
              isEvaluatedConditionally: method.isEvaluatedConditionally))
        }
      }
    }
    return runs
  }

  /// As many runs as there will be, with the first candidate wherever a choice was not made yet.
  package func expectedRuns(_ selections: [String: Int]) -> [StudyRun] {
    var assumed = selections
    for method in methods where assumed[method.name] == nil { assumed[method.name] = 0 }
    return runs(assumed)
  }

  /// The part of a run's name before its seed; a distilled run bears its source's settings.
  private func stem(_ method: StudyMethod, _ candidate: Int, _ known: [String: Int]) -> String {
    var parts = [method.name]
    if let source = method.source, let from = self.method(source.method), let chosen = known[source.method] {
      parts += sourceSettings(from, chosen, known).map { "\($0.key)-\($0.text)" }
    }
    parts += method.candidates[candidate].map { "\($0.key)-\($0.text)" }
    return parts.map(Self.fileName).joined(separator: ".")
  }

  private func sourceSettings(_ method: StudyMethod, _ candidate: Int, _ known: [String: Int])
    -> [StudySetting]
  {
    var settings: [StudySetting] = []
    if let source = method.source, let from = self.method(source.method), let chosen = known[source.method] {
      settings = sourceSettings(from, chosen, known)
    }
    return settings + method.candidates[candidate]
  }

  private func settings(_ method: StudyMethod, _ candidate: Int, _ replicate: Int) -> [StudySetting] {
    var all = common + method.settings + method.candidates[candidate]
    if !method.perSeed.isEmpty { all += method.perSeed[replicate % method.perSeed.count] }
    // A grid's own methods have the value that the user fixed among their candidates; the others have no use for it.
    let ofGrids = methods.flatMap { $0.candidates.flatMap { $0.map(\.key) } }
    all += overrides.filter { !ofGrids.contains($0.key) }
    return all + [
      StudySetting("seed", String(replicate + method.seedOffset)),
      StudySetting("checkpoint-every", String(checkpointEpochs)),
      StudySetting("checkpoint-every-steps", "0"),
      // A run of a study keeps its last one, and all until then.
      StudySetting("keep", "0"),
    ]
  }

  /// Letters, digits, points and hyphens; everything else, which no file name should have, as a hyphen.
  private static func fileName(_ text: String) -> String {
    String(
      text.map { character in
        character.isASCII && (character.isLetter || character.isNumber || ".-_+".contains(character))
          ? character : "-"
      })
  }

  /// Keeps only some methods and what they start from.
  ///
  /// - Throws: ``Failure`` for a name that is none of a method.
  public mutating func keep(methods names: [String]) throws(Failure) {
    var kept = Set<String>()
    for name in names {
      guard var method = method(name) else {
        let known = methods.filter { !$0.isHidden }.map(\.name)
        throw Failure(
          .usage,
          "\(setting: "methods"): unknown method '\(name)'\(didYouMean(name, among: known)); known are \(known.joined(separator: ", "))"
        )
      }
      kept.insert(name)
      while let source = method.source, let next = self.method(source.method) {
        kept.insert(next.name)
        method = next
      }
    }
    methods = methods.filter { kept.contains($0.name) }
  }

  /// Puts the user's settings over the methods'; one that a grid chooses is thereby fixed.
  ///
  /// - Throws: ``Failure`` for a setting that a sweep's own grid has.
  public mutating func override(_ settings: [StudySetting]) throws(Failure) {
    if isSweep, let first = methods.first {
      for setting in settings where first.settings.contains(where: { $0.key == setting.key }) {
        throw Failure(
          .usage,
          "\(setting: "set", setting.words) contradicts \(setting: "grid", setting.key)=…; leave one out")
      }
    }
    overrides += settings
    for index in methods.indices {
      for setting in settings {
        let candidates = methods[index].candidates
        guard candidates.contains(where: { $0.contains { $0.key == setting.key } }) else { continue }
        var fixed: [[StudySetting]] = []
        for candidate in candidates {
          let new = candidate.map { $0.key == setting.key ? setting : $0 }
          if !fixed.contains(new) { fixed.append(new) }
        }
        methods[index].candidates = fixed
      }
    }
  }

  /// Checks that every run's settings make a configuration, that no two runs share a name, and that a choice can be
  /// made where one is needed.
  ///
  /// - Returns: the configuration of every expected run, by name, without the path of its source.
  public func configurations() throws(Failure) -> [(run: StudyRun, configuration: Configuration)] {
    var names = Set<String>()
    var found: [(run: StudyRun, configuration: Configuration)] = []
    for run in expectedRuns([:]) {
      guard names.insert(run.id).inserted else {
        throw Failure(.usage, "two runs of the study would be called \(run.id); give every value once")
      }
      let configuration = try run.configuration(source: run.source)
      let choices = method(run.method)?.candidates.count ?? 1
      if choices > 1, configuration.validationFraction == 0 {
        throw Failure(
          .usage,
          "\(run.method) has \(choices) settings to choose from, which needs validation samples; "
            + "leave out \(setting: "set") validation-fraction=0 or fix the setting with \(setting: "set")")
      }
      found.append((run, configuration))
    }
    return found
  }
}

extension StudyRun {
  /// The resolved configuration.
  ///
  /// - Parameter source: the path of the checkpoint to start from.
  package func configuration(source: String?) throws(Failure) -> Configuration {
    var entries = settings.map { (key: $0.key, text: $0.text) }
    if let source, let sourceKey { entries.append((key: sourceKey, text: source)) }
    return try Configuration.resolve([ConfigurationLayer(commandLine: entries)]).configuration
  }
}
