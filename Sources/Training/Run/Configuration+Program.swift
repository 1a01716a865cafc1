internal import DataSets
public import Files
internal import Records

/// Configurations that a program sets field by field, without layers of text.
extension Configuration {
  /// The defaults of a data set, as the command line has them.
  ///
  /// - Throws: ``Failure`` that names the known data sets.
  public init(dataset: String) throws(Failure) {
    self.init()
    let defaults = try DataSetRegistry.source(named: dataset).defaults
    self.dataset = dataset
    experts = defaults.experts
    model = defaults.model
    epochs = defaults.epochs
    batchSize = defaults.batchSize
    learningRate = defaults.learningRate
  }

  /// Settings whose default the command line derives from others; here they are what they are.
  private static let derived = ["top-k-weights", "similarity-scale"]

  /// This configuration, its values and what contradicts them checked as for layers; what has no effect is put back to a
  /// fixed value, and a note says so. ``gatePlacement`` at its default follows the model, which determines no value.
  ///
  /// - Throws: ``Failure`` with the exit code for wrong usage.
  public func checked() throws(Failure) -> ResolvedConfiguration {
    let defaults = try Configuration(dataset: dataset)
    var entries: [ConfigurationLayer.Entry] = []
    for setting in ConfigurationSchema.settings {
      guard let text = setting.text(self) else { continue }
      guard text != setting.text(defaults) || Self.derived.contains(setting.key) else { continue }
      entries.append(ConfigurationLayer.Entry(key: setting.key, text: text, origin: .program))
    }
    return try applying(entries)
  }

  /// Checks that a run that begins again, because it was stopped before its first checkpoint, has the settings of its
  /// `config.yaml`.
  ///
  /// - Throws: ``Failure`` that names the first setting that differs.
  func check(begins earlier: ConfigurationLayer, in directory: String) throws(Failure) {
    guard !earlier.entries.isEmpty else { return }
    let then = try Configuration.resolve([earlier]).configuration
    let given = Set(earlier.entries.map(\.key))
    guard let found = difference(from: then, in: { $0.effect != .run && given.contains($0.key) }) else {
      return
    }
    throw Failure(
      .usage,
      "\(found.key) is \(found.own), but the run that began in \(directory) has \(found.other); set it so, or "
        + "choose another run directory")
  }

  /// Checks that what determines values is what a checkpoint was trained with.
  ///
  /// - Throws: ``Failure`` that names the first setting that differs.
  func check(goesOnFrom checkpoint: CheckpointFile) throws(Failure) {
    let stored = try Evaluator.configuration(of: checkpoint)
    guard let found = difference(from: stored, in: { $0.effect == .values }) else { return }
    throw Failure(
      .usage,
      "\(found.key) is \(found.own), but \(checkpoint.path) was trained with \(found.other); set it so to resume, or "
        + "start a new run")
  }

  /// The first of some settings that another configuration has otherwise, with both values as texts.
  func difference(from other: Configuration, in isCompared: (Setting) -> Bool)
    -> (key: String, own: String, other: String)?
  {
    for setting in ConfigurationSchema.settings where isCompared(setting) {
      let (mine, theirs) = (setting.text(self), setting.text(other))
      if mine != theirs { return (setting.key, mine ?? "unset", theirs ?? "unset") }
    }
    return nil
  }
}
