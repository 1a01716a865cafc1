internal import DataSets
public import Files
internal import MoE
internal import Networks

extension Configuration {
  /// The configuration of a run: the data set's defaults, then every layer over the ones before it.
  ///
  /// A setting without effect under the chosen gate, rule or data set is put back to a fixed value, so that it cannot
  /// make two equal runs differ; where the user gave it, a note says so.
  /// - Parameter layers: YAML files in the order given, then the command line.
  /// - Throws: ``Failure`` with the exit code for wrong usage: unknown names, values out of range, contradictions.
  public static func resolve(_ layers: [ConfigurationLayer]) throws(Failure) -> ResolvedConfiguration {
    let entries = layers.flatMap(\.entries)
    let entry = entries.last { $0.key == "dataset" }
    let name = entry?.text ?? Configuration().dataset
    let names = DataSetRegistry.all.map(\.name)
    guard names.contains(name) else { throw unknown("dataset", name, among: names, entry: entry) }
    return try Configuration(dataset: name).applying(entries)
  }

  /// This configuration with settings changed, checked as a whole.
  func applying(_ entries: [ConfigurationLayer.Entry]) throws(Failure)
    -> ResolvedConfiguration
  {
    var configuration = self
    var given: [String: ConfigurationLayer.Entry] = [:]
    for entry in entries {
      try configuration.apply(entry)
      given[entry.key] = entry
    }
    let models = NetworkFamilies.all.map(\.name)
    guard models.contains(configuration.model) else {
      throw Self.unknown("model", configuration.model, among: models, entry: given["model"])
    }
    if configuration.expertClasses != nil, given["gate"] == nil { configuration.gate = .classes }
    if configuration.similarityScaling == .authors, given["similarity-scale"] == nil {
      configuration.similarityScale = configuration.dataset.hasPrefix("cifar") ? "batch-max" : "none"
    }
    // One text per number, so that 1 and 1.0 are the same configuration.
    if let scale = Double(configuration.similarityScale) { configuration.similarityScale = String(scale) }
    if given["top-k-weights"] == nil, given["top-k"] != nil || given["combine"] != nil {
      configuration.topKWeights = configuration.topK == 1 ? .full : .renormalised
    }
    if configuration.isDeep {
      if given["gate-placement"] == nil { configuration.gatePlacement = .replicated }
      try configuration.checkDepth(given)
    }
    try configuration.checkGate(given)
    try configuration.completeOptimiser(given)
    var notes: [Message] = []
    // All are asked before any is put back.
    let withoutEffect = ConfigurationSchema.settings.compactMap { setting in
      setting.objection(configuration).map { (setting: setting, reason: $0) }
    }
    for (setting, reason) in withoutEffect {
      let before = setting.text(configuration)
      setting.reset(&configuration)
      guard let entry = given[setting.key], before != setting.text(configuration) else { continue }
      notes.append("\(Setting.words(setting.key, entry.text)) has no effect \(reason)")
    }
    if configuration.optimiser == .adamw, configuration.weightDecay == 0, let entry = given["optimiser"] {
      notes.append(
        "\(Setting.words(entry.key, entry.text)) is Adam as long as \(setting: "weight-decay") is 0")
    }
    notes += [configuration.untrainedGateNote].compactMap { $0 }
    try configuration.checkExperts(given)
    return ResolvedConfiguration(configuration: configuration, given: given, notes: notes)
  }

  /// Sets one value from its text.
  mutating func apply(_ entry: ConfigurationLayer.Entry) throws(Failure) {
    guard let setting = ConfigurationSchema.setting(entry.key) else {
      switch entry.origin {
      case .commandLine, .program:
        throw Failure(
          .usage, "unknown option '\(setting: entry.key)'\(settingHint(entry.key, isOption: true))")
      case .file(let file, let line, let column):
        throw Failure(
          .usage, "\(file):\(line):\(column): unknown key '\(entry.key)'\(settingHint(entry.key))")
      }
    }
    if let expected = setting.assign(&self, entry.text) {
      throw Failure(.usage, "\(entry.words) is not allowed: expected \(expected)")
    }
  }

  private static func unknown(
    _ key: String, _ name: String, among names: [String], entry: ConfigurationLayer.Entry?
  ) -> Failure {
    let hint = nearestName(to: name, among: names).map { " did you mean '\($0)'?" } ?? ""
    return Failure(
      .usage,
      "\(entry?.words ?? Setting.words(key, name)): unknown \(key) '\(name)';\(hint) known are \(names.joined(separator: ", "))"
    )
  }

  // MARK: - What cannot be

  /// What a gate needs, and what is no training.
  private mutating func checkGate(_ given: [String: ConfigurationLayer.Entry]) throws(Failure) {
    if let lists = expertClasses.flatMap({ ClassLists($0) }), gate == .classes {
      let count = lists.classesOfExpert.count
      if let entry = given["experts"], experts != count {
        throw Failure(
          .usage,
          "\(entry.words) contradicts \(setting: "expert-classes"), which lists \(count) experts; leave one out"
        )
      }
      experts = count
    } else if gate == .classes {
      throw Failure(
        .usage,
        "\(setting: "gate") classes needs the classes of every expert; give \(setting: "expert-classes") 0,7/1,9/…"
      )
    }
    let otherStart = initFrom != nil ? "init-from" : distillFrom != nil ? "distill-from" : nil
    if initExpertsFrom != nil, let otherStart {
      throw Failure(
        .usage,
        "\(setting: "init-experts-from") contradicts \(setting: otherStart), which gives the experts other weights; leave one out"
      )
    }
    if distillFrom != nil {
      guard gate == .softmax else {
        throw Failure(
          .usage,
          "\(setting: "distill-from") trains a plain gate; leave out \(setting: "gate", gate.rawValue) or give \(setting: "gate") softmax"
        )
      }
      guard initFrom == nil else {
        throw Failure(
          .usage,
          "\(setting: "distill-from") starts from that run's experts; leave out \(setting: "init-from")")
      }
      if let entry = given["freeze"], freeze != .experts {
        throw Failure(
          .usage,
          "\(entry.words) contradicts \(setting: "distill-from"), which freezes the experts; leave one out")
      }
      freeze = .experts
    }
    if freeze == .experts, gate.design.choosesOne, gate != .loss {
      throw Failure(
        .usage,
        "\(setting: "freeze") experts with \(setting: "gate", gate.rawValue) leaves nothing to train; choose another gate"
      )
    }
    if freeze == .experts, gate == .none {
      throw Failure(
        .usage, "\(setting: "freeze") experts with \(setting: "gate") none leaves nothing to train")
    }
  }

  private func checkExperts(_ given: [String: ConfigurationLayer.Entry]) throws(Failure) {
    guard combine == .topK, topK > experts else { return }
    let wanted = given["top-k"]?.words ?? "\(setting: "top-k", topK)"
    let available = given["experts"]?.words ?? "\(setting: "experts", experts), the default for \(dataset)"
    throw Failure(.usage, "\(wanted) is larger than \(available); take a smaller k or more experts")
  }

  /// What has no meaning inside a deeper network, where experts answer for no classes.
  private mutating func checkDepth(_ given: [String: ConfigurationLayer.Entry]) throws(Failure) {
    if distillFrom != nil {
      throw Failure(
        .usage,
        "\(setting: "distill-from") is for models whose experts answer for the classes; \(setting: "model", model) has a head"
      )
    }
    guard gate != .attentive || combine == .expectation else {
      throw Failure(
        .usage,
        "\(setting: "combine", combine.rawValue) saves nothing with \(setting: "gate") attentive, whose keys need every expert; leave it out, or "
          + "take \(setting: "gate") softmax")
    }
    guard freeze == .none else {
      throw Failure(
        .usage,
        "\(setting: "freeze", freeze.rawValue) would leave the trunk of \(setting: "model", model) without their part of its gradient; leave it "
          + "out")
    }
    guard combine != .stochastic else {
      throw Failure(
        .usage,
        "\(setting: "combine") stochastic needs the loss of every expert, and the experts of \(setting: "model", model) answer for no classes; "
          + "take expectation or top-k")
    }
    guard ![.peeking, .loudest, .loss].contains(gate) else {
      throw Failure(
        .usage,
        "\(setting: "gate", gate.rawValue) looks at the experts' answers for the classes, and those of \(setting: "model", model) give none; "
          + "take softmax, attentive or none")
    }
    if similarityScale == "dataset", similarity > 0 || dissimilarity > 0 {
      // Distances are those of hidden rows, which have no unit of their own.
      guard given["similarity-scale"] == nil else {
        throw Failure(
          .usage,
          "\(setting: "similarity-scale") dataset measures images, and the rows of \(setting: "model", model) are none; take batch-max, none or "
            + "a number")
      }
      similarityScale = "batch-max"
    }
  }
}
