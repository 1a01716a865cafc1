import ArgumentParser
import MoE

/// The settings of a run as options; names, help and defaults come from ``ConfigurationSchema``.
struct SettingOptions: ParsableArguments {
  @Option(name: .customLong("dataset"), help: help("dataset"))
  var dataset: String?

  @Option(name: .customLong("data-dir"), help: help("data-dir"))
  var dataDir: String?

  @Option(name: .customLong("train-images"), help: help("train-images"))
  var trainImages: String?

  @Option(name: .customLong("train-labels"), help: help("train-labels"))
  var trainLabels: String?

  @Option(name: .customLong("test-images"), help: help("test-images"))
  var testImages: String?

  @Option(name: .customLong("test-labels"), help: help("test-labels"))
  var testLabels: String?

  @Option(name: .customLong("mean"), help: help("mean"))
  var mean: String?

  @Option(name: .customLong("std"), help: help("std"))
  var std: String?

  @Option(name: .customLong("train-samples"), help: help("train-samples"))
  var trainSamples: String?

  @Option(name: .customLong("test-samples"), help: help("test-samples"))
  var testSamples: String?

  @Flag(inversion: .prefixedNo, help: help("augment"))
  var augment: Bool?

  @Option(name: .customLong("validation-fraction"), help: help("validation-fraction"))
  var validationFraction: String?

  @Option(name: .customLong("model"), help: help("model"))
  var model: String?

  @Option(name: .customLong("experts"), help: help("experts"))
  var experts: String?

  @Option(name: .customLong("gate"), help: help("gate"))
  var gate: String?

  @Option(name: .customLong("combine"), help: help("combine"))
  var combine: String?

  @Option(name: .customLong("top-k"), help: help("top-k"))
  var topK: String?

  @Option(name: .customLong("top-k-weights"), help: help("top-k-weights"))
  var topKWeights: String?

  @Option(name: .customLong("temperature"), help: help("temperature"))
  var temperature: String?

  @Option(name: .customLong("expert-temperature"), help: help("expert-temperature"))
  var expertTemperature: String?

  @Option(name: .customLong("expert-classes"), help: help("expert-classes"))
  var expertClasses: String?

  @Option(name: .customLong("freeze"), help: help("freeze"))
  var freeze: String?

  @Option(name: .customLong("importance"), help: help("importance"))
  var importance: String?

  @Option(name: .customLong("similarity"), help: help("similarity"))
  var similarity: String?

  @Option(name: .customLong("dissimilarity"), help: help("dissimilarity"))
  var dissimilarity: String?

  @Option(name: .customLong("similarity-scaling"), help: help("similarity-scaling"))
  var similarityScaling: String?

  @Option(name: .customLong("similarity-distance"), help: help("similarity-distance"))
  var similarityDistance: String?

  @Option(name: .customLong("similarity-scale"), help: help("similarity-scale"))
  var similarityScale: String?

  @Option(name: .customLong("epochs"), help: help("epochs"))
  var epochs: String?

  @Option(name: .customLong("batch-size"), help: help("batch-size"))
  var batchSize: String?

  @Option(name: .customLong("learning-rate"), help: help("learning-rate"))
  var learningRate: String?

  @Option(name: .customLong("weight-decay"), help: help("weight-decay"))
  var weightDecay: String?

  @Option(name: .customLong("seed"), help: help("seed"))
  var seed: String?

  @Flag(inversion: .prefixedNo, help: help("shuffle"))
  var shuffle: Bool?

  @Option(name: .customLong("block-rows"), help: help("block-rows"))
  var blockRows: String?

  @Option(name: .customLong("init-from"), help: help("init-from"))
  var initFrom: String?

  @Flag(inversion: .prefixedNo, help: help("init-partial"))
  var initPartial: Bool?

  @Option(name: .customLong("init-only"), help: help("init-only"))
  var initOnly: String?

  @Option(name: .customLong("distill-from"), help: help("distill-from"))
  var distillFrom: String?

  @Option(name: .customLong("distill-loss"), help: help("distill-loss"))
  var distillLoss: String?

  @Option(name: .customLong("max-steps"), help: help("max-steps"))
  var maxSteps: String?

  @Option(name: .customLong("max-time"), help: help("max-time"))
  var maxTime: String?

  @Option(name: .customLong("payload"), help: help("payload"))
  var payload: String?

  @Option(name: .customLong("gate-placement"), help: help("gate-placement"))
  var gatePlacement: String?

  @Option(name: .customLong("placement"), help: help("placement"))
  var placement: String?

  @Option(name: .customLong("run-dir"), help: help("run-dir"))
  var runDir: String?

  @Option(name: .customLong("checkpoint-every"), help: help("checkpoint-every"))
  var checkpointEvery: String?

  @Option(name: .customLong("checkpoint-every-steps"), help: help("checkpoint-every-steps"))
  var checkpointEverySteps: String?

  @Option(name: .customLong("log-every"), help: help("log-every"))
  var logEvery: String?

  @Option(name: .customLong("watchdog"), help: help("watchdog"))
  var watchdog: String?

  /// What was given on the command line, in the order of the schema.
  var layer: ConfigurationLayer {
    let texts: [(String, String?)] = [
      ("dataset", dataset),
      ("data-dir", dataDir),
      ("train-images", trainImages),
      ("train-labels", trainLabels),
      ("test-images", testImages),
      ("test-labels", testLabels),
      ("mean", mean),
      ("std", std),
      ("train-samples", trainSamples),
      ("test-samples", testSamples),
      ("augment", augment.map { $0 ? "true" : "false" }),
      ("validation-fraction", validationFraction),
      ("model", model),
      ("experts", experts),
      ("gate", gate),
      ("combine", combine),
      ("top-k", topK),
      ("top-k-weights", topKWeights),
      ("temperature", temperature),
      ("expert-temperature", expertTemperature),
      ("expert-classes", expertClasses),
      ("freeze", freeze),
      ("importance", importance),
      ("similarity", similarity),
      ("dissimilarity", dissimilarity),
      ("similarity-scaling", similarityScaling),
      ("similarity-distance", similarityDistance),
      ("similarity-scale", similarityScale),
      ("epochs", epochs),
      ("batch-size", batchSize),
      ("learning-rate", learningRate),
      ("weight-decay", weightDecay),
      ("seed", seed),
      ("shuffle", shuffle.map { $0 ? "true" : "false" }),
      ("block-rows", blockRows),
      ("init-from", initFrom),
      ("init-partial", initPartial.map { $0 ? "true" : "false" }),
      ("init-only", initOnly),
      ("distill-from", distillFrom),
      ("distill-loss", distillLoss),
      ("max-steps", maxSteps),
      ("max-time", maxTime),
      ("payload", payload),
      ("gate-placement", gatePlacement),
      ("placement", placement),
      ("run-dir", runDir),
      ("checkpoint-every", checkpointEvery),
      ("checkpoint-every-steps", checkpointEverySteps),
      ("log-every", logEvery),
      ("watchdog", watchdog),
    ]
    return ConfigurationLayer(
      commandLine: texts.compactMap { key, text in text.map { (key: key, text: $0) } })
  }
}

/// The help of a setting with its default and, where it is one of a few words, its choices.
private func help(_ key: String) -> ArgumentHelp {
  guard let setting = ConfigurationSchema.setting(key) else { preconditionFailure("'\(key)' is no setting") }
  let choices = setting.choices.isEmpty ? "" : " One of \(setting.choices.joined(separator: ", "))."
  return ArgumentHelp(
    "\(setting.help)\(choices) (default: \(setting.defaultText))",
    valueName: setting.placeholder.isEmpty ? "value" : setting.placeholder)
}
