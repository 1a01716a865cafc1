public import Files
internal import Glibc
internal import Records

/// The report of one run or several: an HTML page, and every figure as an SVG file.
public enum Report {
  /// Where the page of these runs goes unless the user says otherwise.
  public static func defaultOutput(for runs: [String]) -> String {
    runs.count == 1 ? runs[0] + "/report.html" : "report.html"
  }

  /// Where the figures go unless the user says otherwise; nil: nowhere.
  public static func defaultFigures(for runs: [String]) -> String? {
    runs.count == 1 ? runs[0] + "/figures" : nil
  }

  /// Reads run directories and writes their report. The same files give the same bytes.
  ///
  /// A run that is going on, was stopped or lacks some files is reported with what is there.
  /// - Parameters:
  ///   - output: the page's path. A file that is there is replaced only if it is a report, unless `force`.
  ///   - figures: the directory of the SVG files, made if it is not there; nil: none are written.
  /// - Throws: ``Failure``: `.notFound` for what is no run, `.badData` for damaged files, `.cannotCreate` for a page
  ///   that would replace something else, `.inputOutput` for what cannot be written.
  public static func write(runs paths: [String], to output: String, figures: String?, force: Bool = false)
    throws(Failure)
  {
    var runs: [RunRecord] = []
    for path in paths { runs.append(try RunRecord(directory: trimmed(path))) }
    guard !runs.isEmpty else { throw Failure(.usage, "a report needs at least one run directory") }
    try OutputFile.check(output, force: force) {
      String(decoding: $0, as: UTF8.self).contains(ReportPage.mark)
    }
    let page = ReportPage(runs: runs)
    if let figures { try write(page, into: figures) }
    try OutputFile.write(page.html, to: output)
  }

  private static func write(_ page: ReportPage, into directory: String) throws(Failure) {
    try SafeFile.makeDirectories(directory)
    if page.runs.count == 1 {
      for figure in RunSection.figures(of: page.runs[0]) {
        try SafeFile.replace("\(directory)/\(figure.name).svg", figure.file)
      }
      return
    }
    for figure in Comparison(runs: page.runs, labels: ReportPage.labels(page.runs)).figures {
      try SafeFile.replace("\(directory)/\(figure.name).svg", figure.file)
    }
    for (index, run) in page.runs.enumerated() {
      for figure in RunSection.figures(of: run) {
        try SafeFile.replace("\(directory)/run-\(index + 1)-\(figure.name).svg", figure.file)
      }
    }
  }

  private static func trimmed(_ path: String) -> String {
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    return path
  }
}
