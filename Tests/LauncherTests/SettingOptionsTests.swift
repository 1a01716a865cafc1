import ArgumentParser
import Files
import Foundation
import Testing
import Training
import launcher

private typealias Options = SettingOptions<TrainingDefaults>

/// What the parser makes of the words, as the program gives them to it.
private func layer(_ words: String...) throws -> ConfigurationLayer {
  try Options.parse(MoEDist.joiningNegativeNumbers(words)).layer
}

/// What the parser, or else the settings, say against the words.
private func refusal(_ words: String...) -> String? {
  do {
    _ = try Configuration.resolve([Options.parse(MoEDist.joiningNegativeNumbers(words)).layer])
    return nil
  } catch let failure as Failure {
    return failure.code == .usage ? failure.words.text(as: .options) : nil
  } catch {
    return MoEDist.exitCode(for: error).rawValue == 64 ? MoEDist.message(for: error) : nil
  }
}

/// An entry of the schema is all that a setting needs.
struct SettingOptionsTests {
  /// Two values of every setting that has none without being given, or only one.
  private static let values: [String: [String]] = [
    "dataset": ["idx", "mnist"], "data-dir": ["/a", "b c"], "train-images": ["a", "b"],
    "train-labels": ["a", "b"], "test-images": ["a", "b"], "test-labels": ["a", "b"],
    "mean": ["0.5", "-0.25,1"],
    "std": ["0.5", "0.25,1"], "model": ["mnist", "mlp"], "expert-classes": ["0,1/2", "0/1,2"],
    "similarity-scale": ["none", "2.5"], "placement": ["block", "0,0,1"], "init-from": ["a", "b"],
    "init-experts-from": ["a", "b"],
    "distill-from": ["a", "b"], "run-dir": ["a", "b"], "validation-fraction": ["0.2", "0.25"],
    "momentum": ["0.5", "0.25"], "trace": ["a", "b"], "trace-steps": ["0:1", "5:30"],
  ]

  private static func values(_ setting: Setting) -> [String] {
    if setting.isSwitch { return ["true", "false"] }
    return setting.choices.isEmpty ? values[setting.key] ?? ["2", "3"] : setting.choices
  }

  private static func words(_ setting: Setting, _ text: String) -> [String] {
    setting.isSwitch
      ? [text == "true" ? "--\(setting.key)" : "--no-\(setting.key)"] : ["--\(setting.key)", text]
  }

  @Test(arguments: ConfigurationSchema.settings.map(\.key))
  func everySettingIsAnOption(key: String) throws {
    let setting = try #require(ConfigurationSchema.setting(key))
    for text in Self.values(setting) {
      let expected = ConfigurationLayer(commandLine: [(key, text)])
      #expect(try Options.parse(MoEDist.joiningNegativeNumbers(Self.words(setting, text))).layer == expected)
      if !setting.isSwitch { #expect(try layer("--\(key)=\(text)") == expected) }
    }
  }

  /// The two readers of a setting agree, and neither takes a word that is no value.
  @Test(arguments: ConfigurationSchema.settings.map(\.key))
  func everySettingIsAKey(key: String) throws {
    let setting = try #require(ConfigurationSchema.setting(key))
    for text in Self.values(setting) {
      let file = try ConfigurationLayer(yaml: "\(key): \"\(text)\"\n", file: "a.yaml")
      let options = try Options.parse(MoEDist.joiningNegativeNumbers(Self.words(setting, text))).layer
      #expect(file.entries.map(\.key) == [key])
      #expect(file.entries.map(\.text) == options.entries.map(\.text))
    }
  }

  /// All that have a value in a configuration, in one command line, give that configuration.
  @Test func aConfigurationReadsItsOwnOptions() throws {
    let resolved = try Configuration.resolve([
      layer(
        "--dataset", "mnist", "--combine", "top-k", "--top-k", "2", "--schedule=step", "--step-epochs", "3")
    ]).configuration
    let words = ConfigurationSchema.settings.flatMap { setting in
      setting.text(resolved).map { Self.words(setting, $0) } ?? []
    }
    #expect(try Configuration.resolve([Options.parse(words).layer]).configuration == resolved)
  }

  /// A run that had the first value is continued with the second only where that determines no values.
  @Test(arguments: ConfigurationSchema.settings.map(\.key))
  func aResumeAsksForWhatDeterminesValues(key: String) throws {
    let setting = try #require(ConfigurationSchema.setting(key))
    // Where the setting has an effect.
    let others: [String: [(String, String)]] = [
      "layers": [("model", "mlp")], "mean": [("dataset", "mnist")], "std": [("dataset", "mnist")],
      "augment": [("dataset", "cifar-10")], "top-k": [("combine", "top-k")],
      "top-k-weights": [("combine", "top-k")], "noise": [("combine", "top-k")],
      "capacity": [("combine", "top-k")], "load-balance": [("combine", "top-k")],
      "expert-classes": [("gate", "classes")], "similarity-scaling": [("similarity", "1")],
      "similarity-distance": [("similarity", "1")],
      "similarity-scale": [("similarity", "1")], "momentum": [("optimiser", "sgd")],
      "step-epochs": [("schedule", "step")], "step-factor": [("schedule", "step"), ("step-epochs", "2")],
      "schedule-epochs": [("schedule", "cosine"), ("epochs", "1")],
      "trace-steps": [("trace", "a")],
      "distill-loss": [("distill-from", "a")], "schedule": [("step-epochs", "2")],
    ]
    let ofLater: [String: [String]] = ["gate": ["softmax", "attentive"], "freeze": ["none", "gate"]]
    let values = ofLater[key] ?? Array(Self.values(setting).prefix(2))
    func layers(_ text: String) -> [ConfigurationLayer] {
      [ConfigurationLayer(commandLine: (others[key] ?? []) + [(key, text)])]
    }
    let first = try Configuration.resolve(layers(values[0])).configuration
    let stored = try Configuration(valueKeysJSON: first.valueKeysJSON())
    let earlier = try ConfigurationLayer(yaml: first.yaml, file: "config.yaml")
    func resume(_ text: String) throws -> ResolvedConfiguration {
      try Configuration.resuming(from: stored, earlier: earlier, layers(text), checkpoint: "c")
    }
    #expect(throws: Never.self) { _ = try resume(values[0]) }
    switch setting.effect {
    case .values:
      let failure = #expect(throws: Failure.self) { _ = try resume(values[1]) }
      #expect(
        failure?.code == .usage && failure?.message.contains("differs from c, which was trained") == true)
    case .run: #expect(throws: Never.self) { _ = try resume(values[1]) }
    case .start:
      #expect(try resume(values[1]).notes.contains { $0.description.hasSuffix("no effect on a resumed run") })
    }
  }

  @Test func aSwitchHasTwoNamesAndTheLastOptionWins() throws {
    #expect(try layer("--shuffle").entries.map(\.text) == ["true"])
    #expect(try layer("--no-shuffle").entries.map(\.text) == ["false"])
    #expect(try layer("--shuffle", "--seed", "1", "--no-shuffle").entries.map(\.text) == ["1", "false"])
    #expect(try layer("--seed", "1", "--experts", "3", "--seed=2").entries.map(\.text) == ["3", "2"])
    #expect(try layer().entries.isEmpty)
  }

  @Test func optionsKeepTheOrderOfTheSchema() throws {
    let keys = try layer("--seed", "1", "--layers", "2", "--dataset", "mnist").entries.map(\.key)
    #expect(keys == ["dataset", "layers", "seed"])
  }

  @Test func wrongOptionsAreToldWhatIsWrong() {
    #expect(refusal("--exprts", "3") == "Unknown option '--exprts'. Did you mean '--experts'?")
    #expect(refusal("--expert", "3")?.hasPrefix("Unknown option '--expert'") == true)
    #expect(refusal("--seed", "1", "--experts") == "Missing value for '--experts <N>'")
    #expect(refusal("--experts", "--seed", "1") == "Missing value for '--experts <N>'")
    #expect(
      refusal("--experts", "-1")
        == "--experts -1 is not allowed: expected a whole number from 1 to 65536")
    #expect(refusal("--learning-rate", "-.5")?.hasPrefix("--learning-rate -.5 is not allowed") == true)
    #expect(refusal("--gate", "sofmax")?.hasSuffix("did you mean 'softmax'?") == true)
    #expect(refusal("--shuffle=yes") != nil && refusal("3") != nil)
    #expect(refusal("--experts", "3") == nil)
  }

  @Test func whatIsBehindTwoHyphensIsLeftAlone() {
    #expect(
      MoEDist.joiningNegativeNumbers(["a", "--b", "--", "--c", "-1"]) == ["a", "--b", "--", "--c", "-1"])
    #expect(
      MoEDist.joiningNegativeNumbers(["--b", "-1", "-2", "--c=1", "-k"]) == ["--b=-1", "-2", "--c=1", "-k"])
    #expect(
      MoEDist.joiningNegativeNumbers(["-np", "-1", "-n", "-1", "-12", "-3"])
        == ["-np=-1", "-n", "-1", "-12", "-3"])
  }
}

struct TrainHelpTests {
  @Test(arguments: [80, 120])
  func everySettingIsThereOnce(columns: Int) {
    let lines = MoEDist.helpMessage(for: TrainCommand.self, columns: columns).split(separator: "\n")
    for setting in ConfigurationSchema.settings {
      let own = lines.filter { line in
        line.hasPrefix("  --\(setting.key) ") || line.hasPrefix("  --\(setting.key)/")
          || line == "  --\(setting.key)"
      }
      #expect(own.count == 1, "--\(setting.key)")
    }
    #expect(lines.allSatisfy { $0.count <= columns }, "\(lines.max { $0.count < $1.count } ?? "")")
  }

  @Test func theMostUsedComeFirst() throws {
    let help = MoEDist.helpMessage(for: TrainCommand.self, columns: 80)
    let places = try ConfigurationSchema.sections.map { section in
      try #require(help.range(of: "\n\(section.title.uppercased()):\n")).lowerBound
    }
    #expect(places == places.sorted())
    #expect(ConfigurationSchema.sections.first?.settings.count == 10)
    #expect(ConfigurationSchema.sections.flatMap(\.settings).count == ConfigurationSchema.settings.count)
  }

  /// Shells know every setting and the words of a choice.
  @Test(arguments: [CompletionShell.bash, .zsh, .fish])
  func completionKnowsTheSettings(shell: CompletionShell) {
    let script = MoEDist.completionScript(for: shell)
    for setting in ConfigurationSchema.settings {
      #expect(script.contains(setting.key))
      for choice in setting.choices { #expect(script.contains(choice)) }
    }
  }
}
