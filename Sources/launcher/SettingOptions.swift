import ArgumentParser
import Training

/// What a command does where a setting is not given.
protocol SettingDefaults {
  static func text(_ setting: Setting) -> String
}

enum TrainingDefaults: SettingDefaults {
  static func text(_ setting: Setting) -> String { setting.defaultText }
}

enum DistillationDefaults: SettingDefaults {
  static func text(_ setting: Setting) -> String { Distillation.defaultText(setting) }
}

/// The settings of a run as options; names, help and defaults come from ``ConfigurationSchema``.
struct SettingOptions<Defaults: SettingDefaults>: ParsableArguments {
  @Option(name: .customLong("dataset"), help: Help<Defaults>.of("dataset"))
  var dataset: String?

  @Option(name: .customLong("data-dir"), help: Help<Defaults>.of("data-dir"))
  var dataDir: String?

  @Option(name: .customLong("train-images"), help: Help<Defaults>.of("train-images"))
  var trainImages: String?

  @Option(name: .customLong("train-labels"), help: Help<Defaults>.of("train-labels"))
  var trainLabels: String?

  @Option(name: .customLong("test-images"), help: Help<Defaults>.of("test-images"))
  var testImages: String?

  @Option(name: .customLong("test-labels"), help: Help<Defaults>.of("test-labels"))
  var testLabels: String?

  @Option(name: .customLong("mean"), help: Help<Defaults>.of("mean"))
  var mean: String?

  @Option(name: .customLong("std"), help: Help<Defaults>.of("std"))
  var std: String?

  @Option(name: .customLong("train-samples"), help: Help<Defaults>.of("train-samples"))
  var trainSamples: String?

  @Option(name: .customLong("test-samples"), help: Help<Defaults>.of("test-samples"))
  var testSamples: String?

  @Flag(inversion: .prefixedNo, help: Help<Defaults>.of("augment"))
  var augment: Bool?

  @Option(name: .customLong("validation-fraction"), help: Help<Defaults>.of("validation-fraction"))
  var validationFraction: String?

  @Option(name: .customLong("model"), help: Help<Defaults>.of("model"))
  var model: String?

  @Option(name: .customLong("layers"), help: Help<Defaults>.of("layers"))
  var layers: String?

  @Option(name: .customLong("experts"), help: Help<Defaults>.of("experts"))
  var experts: String?

  @Option(name: .customLong("gate"), help: Help<Defaults>.of("gate"))
  var gate: String?

  @Option(name: .customLong("combine"), help: Help<Defaults>.of("combine"))
  var combine: String?

  @Option(name: .customLong("top-k"), help: Help<Defaults>.of("top-k"))
  var topK: String?

  @Option(name: .customLong("top-k-weights"), help: Help<Defaults>.of("top-k-weights"))
  var topKWeights: String?

  @Option(name: .customLong("noise"), help: Help<Defaults>.of("noise"))
  var noise: String?

  @Option(name: .customLong("capacity"), help: Help<Defaults>.of("capacity"))
  var capacity: String?

  @Option(name: .customLong("temperature"), help: Help<Defaults>.of("temperature"))
  var temperature: String?

  @Option(name: .customLong("expert-temperature"), help: Help<Defaults>.of("expert-temperature"))
  var expertTemperature: String?

  @Option(name: .customLong("expert-classes"), help: Help<Defaults>.of("expert-classes"))
  var expertClasses: String?

  @Option(name: .customLong("freeze"), help: Help<Defaults>.of("freeze"))
  var freeze: String?

  @Option(name: .customLong("importance"), help: Help<Defaults>.of("importance"))
  var importance: String?

  @Option(name: .customLong("similarity"), help: Help<Defaults>.of("similarity"))
  var similarity: String?

  @Option(name: .customLong("dissimilarity"), help: Help<Defaults>.of("dissimilarity"))
  var dissimilarity: String?

  @Option(name: .customLong("similarity-scaling"), help: Help<Defaults>.of("similarity-scaling"))
  var similarityScaling: String?

  @Option(name: .customLong("similarity-distance"), help: Help<Defaults>.of("similarity-distance"))
  var similarityDistance: String?

  @Option(name: .customLong("similarity-scale"), help: Help<Defaults>.of("similarity-scale"))
  var similarityScale: String?

  @Option(name: .customLong("z-loss"), help: Help<Defaults>.of("z-loss"))
  var zLoss: String?

  @Option(name: .customLong("load-balance"), help: Help<Defaults>.of("load-balance"))
  var loadBalance: String?

  @Option(name: .customLong("epochs"), help: Help<Defaults>.of("epochs"))
  var epochs: String?

  @Option(name: .customLong("batch-size"), help: Help<Defaults>.of("batch-size"))
  var batchSize: String?

  @Option(name: .customLong("learning-rate"), help: Help<Defaults>.of("learning-rate"))
  var learningRate: String?

  @Option(name: .customLong("optimiser"), help: Help<Defaults>.of("optimiser"))
  var optimiser: String?

  @Option(name: .customLong("weight-decay"), help: Help<Defaults>.of("weight-decay"))
  var weightDecay: String?

  @Option(name: .customLong("momentum"), help: Help<Defaults>.of("momentum"))
  var momentum: String?

  @Option(name: .customLong("schedule"), help: Help<Defaults>.of("schedule"))
  var schedule: String?

  @Option(name: .customLong("schedule-epochs"), help: Help<Defaults>.of("schedule-epochs"))
  var scheduleEpochs: String?

  @Option(name: .customLong("step-epochs"), help: Help<Defaults>.of("step-epochs"))
  var stepEpochs: String?

  @Option(name: .customLong("step-factor"), help: Help<Defaults>.of("step-factor"))
  var stepFactor: String?

  @Option(name: .customLong("warm-up"), help: Help<Defaults>.of("warm-up"))
  var warmUp: String?

  @Option(name: .customLong("clip-norm"), help: Help<Defaults>.of("clip-norm"))
  var clipNorm: String?

  @Option(name: .customLong("patience"), help: Help<Defaults>.of("patience"))
  var patience: String?

  @Option(name: .customLong("seed"), help: Help<Defaults>.of("seed"))
  var seed: String?

  @Flag(inversion: .prefixedNo, help: Help<Defaults>.of("shuffle"))
  var shuffle: Bool?

  @Option(name: .customLong("block-rows"), help: Help<Defaults>.of("block-rows"))
  var blockRows: String?

  @Option(name: .customLong("products"), help: Help<Defaults>.of("products"))
  var products: String?

  @Option(name: .customLong("init-from"), help: Help<Defaults>.of("init-from"))
  var initFrom: String?

  @Flag(inversion: .prefixedNo, help: Help<Defaults>.of("init-partial"))
  var initPartial: Bool?

  @Option(name: .customLong("init-only"), help: Help<Defaults>.of("init-only"))
  var initOnly: String?

  @Option(name: .customLong("distill-from"), help: Help<Defaults>.of("distill-from"))
  var distillFrom: String?

  @Option(name: .customLong("distill-loss"), help: Help<Defaults>.of("distill-loss"))
  var distillLoss: String?

  @Option(name: .customLong("max-steps"), help: Help<Defaults>.of("max-steps"))
  var maxSteps: String?

  @Option(name: .customLong("max-time"), help: Help<Defaults>.of("max-time"))
  var maxTime: String?

  @Option(name: .customLong("payload"), help: Help<Defaults>.of("payload"))
  var payload: String?

  @Option(name: .customLong("gate-placement"), help: Help<Defaults>.of("gate-placement"))
  var gatePlacement: String?

  @Option(name: .customLong("threads"), help: Help<Defaults>.of("threads"))
  var threads: String?

  @Option(name: .customLong("placement"), help: Help<Defaults>.of("placement"))
  var placement: String?

  @Option(name: .customLong("run-dir"), help: Help<Defaults>.of("run-dir"))
  var runDir: String?

  @Option(name: .customLong("checkpoint-every"), help: Help<Defaults>.of("checkpoint-every"))
  var checkpointEvery: String?

  @Option(name: .customLong("checkpoint-every-steps"), help: Help<Defaults>.of("checkpoint-every-steps"))
  var checkpointEverySteps: String?

  @Option(name: .customLong("log-every"), help: Help<Defaults>.of("log-every"))
  var logEvery: String?

  @Option(name: .customLong("watchdog"), help: Help<Defaults>.of("watchdog"))
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
      ("layers", layers),
      ("experts", experts),
      ("gate", gate),
      ("combine", combine),
      ("top-k", topK),
      ("top-k-weights", topKWeights),
      ("noise", noise),
      ("capacity", capacity),
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
      ("z-loss", zLoss),
      ("load-balance", loadBalance),
      ("epochs", epochs),
      ("batch-size", batchSize),
      ("learning-rate", learningRate),
      ("optimiser", optimiser),
      ("weight-decay", weightDecay),
      ("momentum", momentum),
      ("schedule", schedule),
      ("schedule-epochs", scheduleEpochs),
      ("step-epochs", stepEpochs),
      ("step-factor", stepFactor),
      ("warm-up", warmUp),
      ("clip-norm", clipNorm),
      ("patience", patience),
      ("seed", seed),
      ("shuffle", shuffle.map { $0 ? "true" : "false" }),
      ("block-rows", blockRows),
      ("products", products),
      ("init-from", initFrom),
      ("init-partial", initPartial.map { $0 ? "true" : "false" }),
      ("init-only", initOnly),
      ("distill-from", distillFrom),
      ("distill-loss", distillLoss),
      ("max-steps", maxSteps),
      ("max-time", maxTime),
      ("payload", payload),
      ("gate-placement", gatePlacement),
      ("threads", threads),
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

private enum Help<Defaults: SettingDefaults> {
  /// The help of a setting with its default and, where it is one of a few words, its choices.
  static func of(_ key: String) -> ArgumentHelp {
    guard let setting = ConfigurationSchema.setting(key) else {
      preconditionFailure("'\(key)' is no setting")
    }
    let choices = setting.choices.isEmpty ? "" : " One of \(setting.choices.joined(separator: ", "))."
    return ArgumentHelp(
      "\(setting.help)\(choices) (default: \(Defaults.text(setting)))",
      valueName: setting.placeholder.isEmpty ? "value" : setting.placeholder)
  }
}
