import ArgumentParser
import Records
import Training

struct DistillCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "distill",
    abstract: "Make a plain-gate model of an attentive one, so that only the chosen experts run.",
    discussion: """
      The attentive run's experts are frozen; a plain gate, started from the attentive gate's trunk, is trained for them \
      with that run's data, optimiser and epochs, into a run of its own. Evaluate it both ways: 'moe-dist evaluate NEW' \
      takes all experts, 'moe-dist evaluate NEW --combine top-k --top-k 1' runs the chosen one alone and prints what that \
      saves.

      All options of 'train' may be given, too.
      """)

  @Argument(help: ArgumentHelp("The attentive run's directory.", valueName: "RUN"), completion: .directory)
  var source: String

  @Option(
    help: ArgumentHelp(
      "latest, best (the smallest validation error of those that are kept) or a checkpoint's path.",
      valueName: "latest|best|PATH"), completion: .namedCheckpoints)
  var checkpoint = "latest"

  @OptionGroup var options: TrainOptions<DistillationDefaults>

  func run() throws {
    try options.train {
      let file = try ModelOptions.open(checkpoint, of: source)
      return [try Distillation.settings(of: file.path, run: RunDirectory.settings(in: source))]
    }
  }
}
