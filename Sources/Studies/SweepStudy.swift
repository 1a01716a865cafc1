public import Files

extension Study {
  /// A study of a user's own grid: every combination of the grids' values is a row.
  ///
  /// - Parameters:
  ///   - base: settings of every run, from configuration files.
  ///   - grids: `key=value,value,…` each; values that contain commas are separated by semicolons.
  /// - Throws: ``Failure`` for unknown settings, settings that the engine sets, or a grid without values.
  public static func sweep(base: [StudySetting], grids: [String], seeds: Int) throws(Failure) -> Study {
    var combinations: [[StudySetting]] = [[]]
    for words in grids {
      let grid = try StudySetting(parsing: words, option: "grid")
      if ["seed", "run-dir", "checkpoint-every", "checkpoint-every-steps", "keep", "max-time"].contains(
        grid.key)
      {
        let instead: Message = grid.key == "seed" ? "; choose how many with \(setting: "seeds")" : ""
        throw Failure(
          .usage, "\(setting: "grid", words) is not allowed: a study sets '\(grid.key)' by itself\(instead)")
      }
      if combinations[0].contains(where: { $0.key == grid.key }) {
        throw Failure(
          .usage, "\(setting: "grid", words): '\(grid.key)' has a grid already; give all its values in one")
      }
      let separator: Character = grid.text.contains(";") ? ";" : ","
      let values = grid.text.split(separator: separator).map(String.init)
      guard !values.isEmpty else { throw Failure(.usage, "\(setting: "grid", words) has no values") }
      combinations = combinations.flatMap { combination in
        values.map { combination + [StudySetting(grid.key, $0)] }
      }
    }
    let methods = combinations.map { combination in
      StudyMethod(
        name: combination.isEmpty
          ? "base" : combination.map { "\($0.key)-\($0.text)" }.joined(separator: "."),
        label: combination.isEmpty ? "base" : combination.map(\.words).joined(separator: ", "),
        group: "Sweep",
        settings: combination)
    }
    var study = Study(name: "sweep", title: "Sweep", methods: methods, seeds: seeds, common: base)
    study.isSweep = true
    study.caveats = [
      "The best setting is the one with the smallest mean validation error; the test errors of the other settings are "
        + "no ground for a choice."
    ]
    return study
  }
}
