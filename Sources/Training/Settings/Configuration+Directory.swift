public import Files
public import Records

extension RunDirectory {
  /// Writes `config.yaml`.
  public func write(configuration: Configuration) throws(Failure) {
    try SafeFile.replace(file("config.yaml"), configuration.yaml)
  }

  /// The settings of `config.yaml`; empty where there is none.
  public static func settings(in path: String) throws(Failure) -> ConfigurationLayer {
    try ConfigurationLayer(
      file: path + "/config.yaml", ifMissing: ConfigurationLayer(entries: []), followingLinks: false)
  }
}
