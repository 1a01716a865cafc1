// E experts, C classes.

/// One self-contained HTML page about one run or several. Well-formed XML too: no script, no reference to anything
/// outside, and nothing of a run that was not escaped.
struct ReportPage {
  let runs: [RunRecord]

  /// Above so many runs a page is brief, or it would be too large: no images, no tips, and one map of classes a run.
  static let runsInFull = 4
  private var isBrief: Bool { runs.count > Self.runsInFull }

  /// A line that every page has, by which a later report knows that it may replace it.
  static let mark = "<meta name=\"generator\" content=\"moe-dist report\" />"

  var html: String {
    let labels = Self.labels(runs)
    var body = ""
    if runs.count == 1 {
      body += heading(runs[0], level: "h1")
      body += RunSection(run: runs[0], number: 1).html
    } else {
      body += Markup.element("h1", [:], "Comparison of \(runs.count) runs")
      body += "<nav aria-label=\"Runs\">Each run alone: "
      for (index, label) in labels.enumerated() {
        body += Markup.element("a", ["href": "#run-\(index + 1)"], Markup.escaped(label))
      }
      body += "</nav>\n"
      body += Comparison(runs: runs, labels: labels, isBrief: isBrief).html
      for (index, run) in runs.enumerated() {
        body += "<article id=\"run-\(index + 1)\">\n" + heading(run, level: "h2")
        body += RunSection(run: run, number: index + 1, isBrief: isBrief).html
        body += "</article>\n"
      }
    }
    let title = runs.count == 1 ? runs[0].name : "Comparison of \(runs.count) runs"
    return """
      <!DOCTYPE html>
      <html lang="en" xml:lang="en">
      <head>
      <meta charset="utf-8" />
      \(Self.mark)
      <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <title>\(Markup.escaped(title)) — moe-dist</title>
      <style>
      \(ReportStyle.css)
      </style>
      </head>
      <body>
      <main>
      \(body)\(Self.definitions)</main>
      </body>
      </html>

      """
  }

  private func heading(_ run: RunRecord, level: String) -> String {
    let experts = run.experts > 0 ? RunFindings.count(run.experts, "expert") + ", " : ""
    let words =
      "\(run.method), \(experts)data set \(run.setting("dataset") ?? "not known"), seed \(run.setting("seed") ?? "not known")"
    return Markup.element(level, [:], Markup.escaped(run.name)) + "\n"
      + Markup.element("p", ["class": "lead"], Markup.escaped(words)) + "\n"
  }

  /// A name for every run: the last part of its path where no other run has the same.
  static func labels(_ runs: [RunRecord]) -> [String] {
    runs.map { run in runs.count { $0.name == run.name } == 1 ? run.name : run.path }
  }

  /// A figure with its heading and caption.
  static func html(_ figure: Figure, id: String, isBrief: Bool) -> String {
    """
    <figure\(figure.width > 800 ? " class=\"wide\"" : "")>
    <h4>\(Markup.escaped(figure.title))</h4>
    <div class="plot"\(figure.width > 800 ? focusable(figure.title) : "")>\(figure.inline(id: id, isBrief: isBrief))</div>
    <figcaption>\(Markup.escaped(figure.caption))</figcaption>
    </figure>

    """
  }

  /// What scrolls on a narrow screen must be reached by the keyboard, and say what it is.
  static func focusable(_ title: String) -> String {
    " tabindex=\"0\" role=\"region\" aria-label=\"\(Markup.escaped(title))\""
  }

  static func grid(_ figures: [Figure], id: String, isBrief: Bool = false) -> String {
    guard !figures.isEmpty else { return "" }
    return "<div class=\"figures\">\n"
      + figures.map { html($0, id: "\(id)-\($0.name)", isBrief: isBrief) }.joined()
      + "</div>\n"
  }

  private static let definitions = """
    <h3>What the figures mean</h3>
    <dl>
    <dt>p</dt><dd>the gate's full softmax over experts; the chosen expert has the largest</dd>
    <dt>I(E;Y)</dt><dd>mutual information between chosen expert and class: 0 when the expert says nothing about the \
    class, at most min(log₂ E, log₂ C) bits</dd>
    <dt>H_s</dt><dd>sample entropy, the mean over samples of the entropy of p: low when the gate is decided</dd>
    <dt>H_u</dt><dd>usage entropy, the entropy of the mean of p over the set: log₂ E bits when all experts are used \
    equally, 0 when one is</dd>
    <dt>per class</dt><dd>the mean over classes of the entropy of the class's mean p</dd>
    <dt>dead</dt><dd>an expert that is chosen for less than a twentieth of an even share, 0.05/E, of the samples</dd>
    <dt>source</dt><dd>Krishnamurthy, Watkins and Gärtner, Improving Expert Specialization in Mixture of Experts, \
    arXiv 2302.14703 (2023)</dd>
    </dl>

    """
}
