import ArgumentParser
import Dist
import Files
import Foundation
import Reporting

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Write one HTML page about a run, or about several side by side.",
    discussion: """
      The page is self-contained: figures are inline SVG, and it has no script and loads nothing. 'train' writes \
      RUN/report.html and RUN/figures at its end; this command writes them again, also while a run goes on.
      """)

  @Argument(help: ArgumentHelp("Run directories.", valueName: "RUN"), completion: .directory)
  var runs: [String]

  @Option(
    help: ArgumentHelp(
      "The page. (default: RUN/report.html for one run, report.html here for several)", valueName: "FILE"),
    completion: .file())
  var output: String?

  @Option(
    help: ArgumentHelp(
      "Directory for the figures as SVG files. (default: RUN/figures for one run without --output, else none)",
      valueName: "DIR"), completion: .directory)
  var figures: String?

  @Flag(help: "Replace the page even if the file that is there is no report.") var force = false

  /// Needs no ranks and never enters MPI; under a launcher rank 0 does the work.
  func run() throws {
    let environment = ProcessInfo.processInfo.environment
    guard Ranks.rank(in: environment) == 0 else { return }
    Program.prepare(environment) {
      let page = output ?? Report.defaultOutput(for: runs)
      let directory = figures ?? (output == nil ? Report.defaultFigures(for: runs) : nil)
      try Report.write(runs: runs, to: page, figures: directory, force: force)
      Console.output(page + "\n")
    }
  }

  /// The report of a run that has just ended, on rank 0. The run is whole without it, so a failure is a note.
  static func writeAtEnd(of run: String, quiet: Bool) {
    do {
      let page = Report.defaultOutput(for: [run])
      try Report.write(runs: [run], to: page, figures: Report.defaultFigures(for: [run]))
      if !quiet { Console.error("report: \(page)") }
    } catch {
      Console.error("NOTE: the report was not written: \(error.words.text(as: .options))")
    }
  }
}
