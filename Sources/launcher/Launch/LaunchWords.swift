/// The words behind `--`: a command of this program with its options.
package struct LaunchWords: Equatable {
  /// The command first.
  package let words: [String]

  /// - Parameter words: what the user gave; without a command it is `train`, as without launch.
  package init(_ words: [String]) {
    self.words = words.first?.hasPrefix("-") == true ? ["train"] + words : words
  }

  package var command: String { words.first ?? "" }

  /// Whether the command keeps a run that can go on.
  package var keepsRun: Bool { ["train", "distill"].contains(command) }

  /// The words of the first start: as they are, in a run directory that launch knows.
  package func first(in directory: String?) -> [String] {
    guard let directory, !has("--run-dir") else { return words }
    return words + ["--run-dir", directory]
  }

  /// The words of a restart: the same, from the newest valid checkpoint of the directory.
  package func again(in directory: String) -> [String] {
    var kept: [String] = []
    var skipsValue = false
    for word in words {
      if skipsValue {
        skipsValue = false
      } else if word == "--resume" {
        skipsValue = true
      } else if !word.hasPrefix("--resume=") {
        kept.append(word)
      }
    }
    return LaunchWords(kept).first(in: directory) + ["--resume", "auto"]
  }

  private func has(_ option: String) -> Bool { words.contains { $0 == option || $0.hasPrefix(option + "=") } }
}
