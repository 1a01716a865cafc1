import ArgumentParser
import Training

/// The option `--config`.
struct ConfigurationFiles: ParsableArguments {
  @Option(
    name: .customLong("config"),
    help: ArgumentHelp(
      "YAML file of settings; repeatable, the later wins, the command line wins over all.", valueName: "FILE"),
    completion: .file()
  )
  var paths: [String] = []

  /// The files' settings, in the order in which they were given.
  var layers: [ConfigurationLayer] {
    get throws { try paths.map { try ConfigurationLayer(file: $0) } }
  }
}
