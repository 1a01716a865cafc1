import ArgumentParser
import Files
import Foundation
import Studies
import Training

struct SweepCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sweep",
    abstract: "Train every combination of your own grid over seeds.",
    discussion: """
      For example: moe-dist sweep --config a.yaml --seeds 10 --grid importance=0,.2,.4 --grid gate=softmax,attentive

      Under 'mpirun -np N' N runs go side by side, one per rank, with the same results (with --ranks-per-run R, N/R runs on \
      R ranks each). Runs are kept: the same command continues where it was stopped and trains nothing twice.
      """)

  @Option(
    help: ArgumentHelp("YAML file of settings; repeatable, the later wins.", valueName: "FILE"),
    completion: .file())
  var config: [String] = []

  @Option(
    help: ArgumentHelp(
      "Values of a setting; repeatable, all combinations are run. Values that contain commas are separated by ';'.",
      valueName: "key=v1,v2,…"))
  var grid: [String] = []

  @Option(help: ArgumentHelp("Seeds per combination, from 0.", valueName: "N"))
  var seeds = 10

  @OptionGroup var options: StudyOptions

  func run() throws {
    options.run(ProcessInfo.processInfo.environment) {
      guard !(config.isEmpty && grid.isEmpty) else {
        throw Failure(.usage, "there is nothing to sweep; give --grid key=v1,v2 or --config FILE")
      }
      let base = try config.flatMap { try ConfigurationLayer(file: $0).entries }
        .filter { !Self.ownKeys.contains($0.key) }.map { StudySetting($0.key, $0.text) }
      let overrides = try options.overrides()
      try Study.check(
        overrides: overrides,
        allowing: [
          "gate", "init-from", "init-only", "init-experts-from", "freeze", "distill-from", "expert-classes",
        ])
      let count = try StudyArguments.seeds(seeds) ?? seeds
      var study = try Study.sweep(base: base, grids: grid, seeds: count)
      try study.override(overrides)
      return study
    }
  }

  /// Settings of a file that a study sets by itself: a run's config.yaml can be given as it is.
  private static let ownKeys = [
    "seed", "run-dir", "checkpoint-every", "checkpoint-every-steps", "keep", "max-time",
  ]
}
