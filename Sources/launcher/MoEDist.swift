import ArgumentParser

@main
struct MoEDist: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "moe-dist", abstract: "Trains mixtures of experts whose experts live on different MPI ranks.")
}
