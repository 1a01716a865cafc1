import ArgumentParser
import Files
import Foundation
import Studies

struct ReproduceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reproduce",
    abstract: "Run a table of the paper again over seeds, beside the published figures.",
    discussion: """
      Trains every method of the table with every seed and every setting of its grid, chooses settings by mean validation \
      error, and compares test figures with those of arXiv 2302.14703. Under 'mpirun -np N' N runs go side by side, one \
      per rank, with the same results (with --ranks-per-run R, N/R runs on R ranks each); ranks on several hosts need a \
      directory that all of them see.

      Runs are kept: the same command continues where it was stopped, trains nothing twice, and with more --seeds adds to \
      what is there.
      """)

  @Argument(
    help: ArgumentHelp(
      "mnist, fashion-mnist, cifar-100, or preliminary: decompositions made by hand.", valueName: "TABLE"),
    completion: .words(of: PaperTable.self))
  var table: String

  @Option(
    help: ArgumentHelp(
      "Seeds per method and setting, from 0. (default: 10; preliminary 5; with --quick 2)", valueName: "N"))
  var seeds: Int?

  @Option(
    help: ArgumentHelp(
      "Only these methods, and those that they start from, such as single,original.", valueName: "NAME,…"))
  var methods: String?

  @Option(
    help: ArgumentHelp(
      "Only a part of cifar-100: wide, or small, whose settings are fixed and whose attentive models are distilled, too.",
      valueName: "WORD"), completion: .list(["wide", "small"]))
  var group: String?

  @Flag(
    help:
      "All training samples and the published settings, without a choice; the published figures were made so."
  )
  var publishedSetup = false

  @Flag(help: "A small version in minutes: few samples, epochs and seeds; its figures are no results.")
  var quick = false

  @OptionGroup var options: StudyOptions

  func run() throws {
    options.run(ProcessInfo.processInfo.environment) {
      let overrides = try options.overrides()
      try Study.check(overrides: overrides)
      guard let table = PaperTable(rawValue: table) else {
        let known = PaperTable.allCases.map(\.rawValue).joined(separator: ", ")
        throw Failure(.usage, "unknown table '\(table)'; known are \(known)")
      }
      var request = PaperRequest(table)
      request.seeds = try StudyArguments.seeds(seeds)
      request.isQuick = quick
      request.usesPublishedSetup = publishedSetup
      request.group = try group.map { word in
        guard table == .cifar100 else {
          throw Failure(.usage, "--group is for cifar-100; \(table.rawValue) has no parts")
        }
        guard let group = PaperGroup(rawValue: word) else {
          throw Failure(.usage, "--group \(word) is not allowed: expected wide or small")
        }
        return group
      }
      var study = Study.paper(request)
      if let methods, !methods.contains(where: { $0 != "," && $0 != " " }) {
        throw Failure(.usage, "--methods names none; leave it out for all")
      }
      if let methods { try study.keep(methods: methods.split(separator: ",").map(String.init)) }
      try study.override(overrides)
      return study
    }
  }
}

/// Checks of what both commands take.
enum StudyArguments {
  static func seeds(_ seeds: Int?) throws -> Int? {
    guard let seeds else { return nil }
    guard (1...1000).contains(seeds) else {
      throw Failure(.usage, "--seeds \(seeds) is not allowed: expected a whole number from 1 to 1000")
    }
    return seeds
  }
}
