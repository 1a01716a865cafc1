public import Files
internal import MoE

/// Turns an attentive run into the settings of a run that trains a plain gate for its experts (arXiv 2302.14703,
/// section 4.2).
public enum Distillation {
  /// What belongs to the attentive gate's training alone, and what the plain gate's run says itself.
  private static let dropped: Set<String> = {
    let ofTheGate = ConfigurationSchema.settings.filter {
      ($0.group == .routing || $0.group == .losses) && $0.key != "temperature"
    }
    // A cosine's epochs are those of its own run.
    return Set(ofTheGate.map(\.key) + ["freeze", "distill-loss", "schedule-epochs"])
  }()
  /// What changes no value but belongs to the source run all the same.
  private static let inherited: Set = [
    "epochs", "data-dir", "train-images", "train-labels", "test-images", "test-labels",
  ]

  /// What a setting is where it is not given, in words.
  public static func defaultText(_ setting: Setting) -> Message {
    switch setting.key {
    case "gate": Message(GateKind.softmax.rawValue)
    case "freeze": Message(Freeze.experts.rawValue)
    case "distill-from": "the checkpoint of RUN"
    default: isInherited(setting) ? "that of RUN" : setting.defaultText
    }
  }

  private static func isInherited(_ setting: Setting) -> Bool {
    (setting.effect == .values && !dropped.contains(setting.key)) || inherited.contains(setting.key)
  }

  /// The source run's settings, without those of its gate, and with its checkpoint to start from.
  ///
  /// - Parameters:
  ///   - checkpoint: path of the attentive run's checkpoint.
  ///   - run: the source run's `config.yaml`.
  /// - Throws: ``Failure`` when the checkpoint is not that of an attentive run.
  public static func settings(
    of checkpoint: String, run: ConfigurationLayer
  ) throws(Failure) -> ConfigurationLayer {
    let source = try Evaluator.configuration(of: checkpoint)
    guard source.gate == .attentive else {
      throw Failure(
        .usage,
        "\(checkpoint) was trained with \(setting: "gate", source.gate.rawValue), whose experts need no keys; distill takes a run "
          + "with \(setting: "gate") attentive")
    }
    var entries: [(key: String, text: String)] = ConfigurationSchema.settings.compactMap { setting in
      guard setting.effect == .values, isInherited(setting) else { return nil }
      return setting.text(source).map { (setting.key, $0) }
    }
    for entry in run.entries where inherited.contains(entry.key) { entries.append((entry.key, entry.text)) }
    entries.append(("gate", GateKind.softmax.rawValue))
    entries.append(("distill-from", checkpoint))
    return ConfigurationLayer(commandLine: entries)
  }
}
