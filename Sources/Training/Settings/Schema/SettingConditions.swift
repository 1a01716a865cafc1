internal import DataSets
internal import Files
internal import MoE

extension Setting {
  /// What must hold for a setting to make a difference.
  struct Condition: Sendable {
    /// Why it does not hold, such as `with schedule constant`; nil where it holds.
    let objection: @Sendable (Configuration) -> Message?

    init(_ objection: @escaping @Sendable (Configuration) -> Message?) { self.objection = objection }

    init(_ holds: @escaping @Sendable (Configuration) -> Bool, otherwise words: Message) {
      objection = { holds($0) ? nil : words }
    }
  }
}

extension Setting.Condition {
  /// That another setting has a value.
  static func with<Value: RawRepresentable<String> & Sendable>(
    _ key: String, _ field: Setting.Field<Value>, _ value: Value
  ) -> Self {
    Self {
      let other = $0[keyPath: field].rawValue
      return other == value.rawValue ? nil : "with \(setting: key, other)"
    }
  }

  /// That another setting is a word.
  static func with(_ key: String, _ field: Setting.Field<String>, _ word: String) -> Self {
    Self { $0[keyPath: field] == word ? nil : "with \(setting: key, $0[keyPath: field])" }
  }

  /// That all of them hold; the first that does not is the reason.
  private static func all(_ conditions: [Self]) -> Self {
    Self { configuration in
      for condition in conditions {
        if let objection = condition.objection(configuration) { return objection }
      }
      return nil
    }
  }

  // MARK: Data

  static let toFiles = Self { configuration in
    let source = DataSetRegistry.all.first { $0.name == configuration.dataset }
    return source?.isBuiltIn == true ? "with \(setting: "dataset", configuration.dataset)" : nil
  }

  static let toAugmentedData = Self { configuration in
    guard let source = DataSetRegistry.all.first(where: { $0.name == configuration.dataset }) else {
      return nil
    }
    return source.augmentation == nil ? "with \(setting: "dataset", configuration.dataset)" : nil
  }

  // MARK: Model

  static let toDeepModels = Self {
    $0.isDeep ? nil : "with \(setting: "model", $0.model), which has one layer"
  }

  static let toImagesOnTheWire = Self {
    $0.isDeep ? "with \(setting: "model", $0.model), whose rows travel as float32" : nil
  }

  // MARK: Routing

  static let toMixtures = Self(
    { $0.gate != .none }, otherwise: "with \(setting: "gate") none, the single model")

  /// Stands behind ``toMixtures``, as do the other conditions on gates.
  static let toWeighedExperts = Self {
    $0.gate.design.choosesOne
      ? "with \(setting: "gate", $0.gate.rawValue), whose arg-max expert answers alone" : nil
  }

  static let toGatesWithTensors = Self {
    $0.gate.design.choosesOne && $0.gate != .loss
      ? "with \(setting: "gate", $0.gate.rawValue), which has no tensors" : nil
  }

  static let toTopK = with("combine", \.combine, .topK)

  static let toExpertTemperature = Self {
    if $0.isDeep { return "with \(setting: "model", $0.model), whose gate and experts have one loss" }
    if $0.freeze == .experts { return "with \(setting: "freeze") experts" }
    return $0.expertTemperature == $0.temperature ? "where it is that of the gate" : nil
  }

  // MARK: Losses

  /// What acts on the loss of a gate that is trained through the mixture.
  static let toGateLoss = all([
    toMixtures, toWeighedExperts, Self({ $0.freeze != .gate }, otherwise: "with \(setting: "freeze") gate"),
    withoutDistillation,
  ])

  static let toSimilarity = Self(
    { $0.similarity != 0 || $0.dissimilarity != 0 },
    otherwise: "without \(setting: "similarity") or \(setting: "dissimilarity")")

  static let toChosenExperts = Self(
    { $0.combine == .topK && $0.topK < $0.experts }, otherwise: "where every expert takes every sample")

  // MARK: Training

  static let toInitialTensors = Self({ $0.initFrom != nil }, otherwise: "without \(setting: "init-from")")
  static let toDistillation = Self({ $0.distillFrom != nil }, otherwise: "without \(setting: "distill-from")")
  static let withoutDistillation = Self(
    { $0.distillFrom == nil }, otherwise: "with \(setting: "distill-from")")

  // MARK: What is kept

  static let toTrace = Self({ $0.trace != nil }, otherwise: "without \(setting: "trace")")
}
