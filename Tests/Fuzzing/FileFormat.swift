package import Files

/// What the program reads from files that somebody else may have made.
package enum FileFormat: String, CaseIterable, Sendable {
  /// Images and labels, plain.
  case idx
  /// The same, compressed.
  case gzip
  case cifar
  /// Checkpoints: the header, and what a resume asks of the metadata.
  case safetensors
  case json
  /// Configurations.
  case yaml
  /// The files of a run that a report reads. The first byte says which of ``recordNames``; the rest is the file.
  case record
  /// Costs that `bench` measured.
  case costs

  package static let recordNames = [
    "metrics.jsonl", "run.json", "summary.json", "status.json", "expert_class.csv", "expert_class_soft.csv",
    "expert_class_correct.csv", "confusion.csv",
    "config.yaml", "samples.json",
  ]

  /// Whether a reader may end with this: by the exit codes for bad data and configurations.
  package func allows(_ failure: Failure) -> Bool {
    failure.code == .badData || (failure.code == .usage && self == .yaml)
  }
}
