import Files
import Foundation
import Records
import Reporting
import Testing

struct ReportTests {
  /// The lock tells a run that goes on from one whose process was killed.
  @Test func aRunThatNobodyHoldsWasInterrupted() throws {
    let run = try FakeRun()
    try run.fill(state: "running")
    #expect(try RunDirectory.interruption(of: run.path)?.contains("was interrupted") == true)
    #expect(try run.page().contains("Interrupted: its process was killed"))
    let held = try RunDirectory.reopen(run.path)
    try withExtendedLifetime(held) {
      #expect(try RunDirectory.interruption(of: run.path) == nil)
      let page = try run.page()
      #expect(page.contains("Running, after") && !page.contains("Interrupted"))
    }
    try run.fill(state: "stopped")
    #expect(try RunDirectory.interruption(of: run.path) == nil)
  }

  // MARK: - What a page says

  @Test func aPageStatesWhatTheFilesSay() throws {
    let run = try FakeRun()
    try run.fill()
    let page = try ParsedXML(try run.page())
    let sentences = page.named("li").map(\.text)
    #expect(sentences.contains("Finished after 3 epochs and 12 steps."))
    // 90 and 70 of 160 samples; log2 3 = 1.58; 2^1 experts; 3 of 4 classes with a share of 1, one with 3/4.
    #expect(
      sentences.contains(
        "Expert 2 is never chosen. Expert 0 is chosen most, for 56.3 %. Of at most 1.58 bits, the usage entropy H_u of the gate's "
          + "mean probabilities (soft) is 1.25, that of the choices (hard) 0.99. Largest load 1.69 times an even one (expert 0, "
          + "56.3 % of the samples), coefficient of variation 0.72."
      ))
    #expect(
      sentences.contains("Sample entropy 1.000 bits: the gate spreads a sample over about 2.00 experts."))
    #expect(sentences.contains("3 of 4 classes go to one expert with at least 90 % of the samples."))
    // 27 000 of 108 000, and 135 000 of 216 000 with the gate.
    #expect(
      sentences.contains(
        "In training the experts did 25.0 % of the FLOPs of dense experts; with the gate 62.5 %."))
    #expect(
      page.text.contains("A step on rank 0 took 100.00 ms (median); the cost model predicted 90.00 ms."))
    #expect(page.named("h1").map(\.text) == ["run"])
    #expect(page.named("pre").map(\.text) == ["moe-dist train --config \(run.path)/config.yaml"])
  }

  @Test func theMainFigureShowsCountsAndShares() throws {
    let run = try FakeRun()
    try run.fill()
    _ = try run.page()
    let figures = try run.figures()
    let hard = try DrawnShapes(try #require(figures["expert-class-hard.svg"]))
    let tips = hard.shapes.compactMap(\.title)
    #expect(tips.contains("expert 1, c: 30 of 40 samples, 75.0 %"))
    #expect(tips.contains("expert 0, c: 10 of 40 samples, 25.0 %"))
    let soft = try DrawnShapes(try #require(figures["expert-class-soft.svg"]))
    #expect(soft.shapes.compactMap(\.title).contains("expert 1, c: 28.5 of 40 samples, 71.3 %"))
    // Grouped: a and b of expert 0, then of expert 1 first d (all of it), then c (three quarters).
    let labels = hard.shapes.filter { $0.name == "text" }.map(\.text).filter {
      ["a", "b", "c", "d"].contains($0)
    }
    #expect(labels == ["a", "b", "d", "c"])
    #expect(figures["expert-class-hard-by-number.svg"] != nil)
  }

  @Test func coarseClassesAreSums() throws {
    let run = try FakeRun()
    try run.fill()
    let session = RunSession(
      started: "", command: [], versions: [:], buildFlags: "", hosts: ["n"], placement: [0, 0, 0],
      levels: [], blasKernels: [], dataFingerprints: [:], classNames: ["a", "b", "c", "d"],
      coarseClassNames: ["even", "odd"], coarseClasses: [0, 1, 0, 1], environment: [:])
    try run.write("run.json", JSONValue.array([session.json]).text())
    _ = try run.page()
    let figure = try DrawnShapes(try #require(try run.figures()["expert-coarse-class.svg"]))
    #expect(figure.shapes.compactMap(\.title).contains("expert 1, even: 30 of 80 samples, 37.5 %"))
  }

  @Test func everyFigureIsAWellFormedFileWithWords() throws {
    let run = try FakeRun()
    try run.fill()
    _ = try run.page()
    let figures = try run.figures()
    let expected: Set = [
      "expert-class-hard.svg", "expert-class-soft.svg", "expert-class-hard-by-number.svg",
      "expert-class-soft-by-number.svg", "usage.svg", "mutual-information.svg", "entropy.svg", "loss.svg",
      "error.svg", "computation.svg", "flops.svg", "time.svg", "expert-accuracy.svg", "confusion.svg",
      "ranks-dispatch.svg", "ranks-combine.svg",
    ]
    #expect(Set(figures.keys) == expected)
    for (name, text) in figures {
      let root = try #require(try ParsedXML(text).elements.first, "\(name)")
      #expect(root.name == "svg" && root.attributes["xmlns"] == "http://www.w3.org/2000/svg")
      let ids = Set(try ParsedXML(text).elements.compactMap { $0.attributes["id"] })
      let labels = root.attributes["aria-labelledby"]?.split(separator: " ").map(String.init) ?? []
      #expect(labels.count == 2 && ids.isSuperset(of: labels), "\(name)")
    }
  }

  @Test func aPageNeedsNothingElse() throws {
    let run = try FakeRun()
    try run.fill()
    let page = try run.page()
    for word in ["<script", "http:", "https:", "src=", "url(", "@import", "javascript:", "onload"] {
      #expect(!page.contains(word), "\(word)")
    }
    let ids = try ParsedXML(page).elements.compactMap { $0.attributes["id"] }
    #expect(Set(ids).count == ids.count)
  }

  @Test func theSameFilesGiveTheSameBytes() throws {
    let run = try FakeRun()
    try run.fill()
    let first = (try run.page(), try run.figures())
    let second = (try run.page(), try run.figures())
    #expect(first.0 == second.0)
    #expect(first.1 == second.1)
  }

  // MARK: - Hostile words

  @Test func nothingOfARunBecomesMarkup() throws {
    let attack = "</title></style><script>alert(1)</script><img src=x onerror='y'>\"&"
    let run = try FakeRun(name: "run<b>")
    let quoted = attack.replacing("\"", with: "\\\"")
    try run.fill(
      classNames: [attack, "b\u{1}", "c", "d"],
      configuration: FakeRun.configuration.replacing("dataset: idx", with: "dataset: \"\(quoted)\""),
      command: ["moe-dist", attack], host: attack, reason: attack, state: "stopped")
    let text = try run.page()
    let page = try ParsedXML(text)
    #expect(!text.contains("<script") && !text.contains("<img") && !text.contains("<b>"))
    let names = Set(page.elements.map(\.name))
    #expect(names.isDisjoint(with: ["script", "img", "b", "iframe", "object", "link"]))
    #expect(page.elements.allSatisfy { $0.attributes.keys.allSatisfy { !$0.hasPrefix("on") } })
    #expect(page.named("title").contains { $0.text.hasPrefix("run<b>") })
    #expect(page.text.contains(attack))
    for (name, figure) in try run.figures() {
      #expect(!figure.contains("<script") && !figure.contains("<img"), "\(name)")
      #expect(throws: Never.self) { try ParsedXML(figure) }
    }
  }

  // MARK: - What is missing, and what is damaged

  @Test func aRunThatHasJustBegunIsReported() throws {
    let run = try FakeRun()
    try run.write("config.yaml", FakeRun.configuration)
    let page = try ParsedXML(try run.page())
    #expect(page.named("li").map(\.text).contains("There are no metrics yet: no epoch was completed."))
    #expect(page.named("svg").isEmpty)
  }

  @Test(arguments: [
    "run.json", "metrics.jsonl", "status.json", "summary.json", "expert_class.csv", "expert_class_soft.csv",
    "expert_class_correct.csv", "confusion.csv",
  ])
  func aRunThatLacksAFileIsReported(name: String) throws {
    let run = try FakeRun()
    try run.fill()
    try FileManager.default.removeItem(atPath: run.path + "/" + name)
    #expect(throws: Never.self) { try ParsedXML(try run.page()) }
  }

  @Test func halfALineAtTheEndIsNotAnError() throws {
    let run = try FakeRun()
    try run.fill()
    let whole = try run.page()
    try run.write("metrics.jsonl", try run.read("metrics.jsonl") + "{\"epoch\":4,\"st")
    #expect(try run.page() == whole)
  }

  @Test func aSingleModelHasNoGateFigures() throws {
    let run = try FakeRun()
    try run.write("config.yaml", "dataset: mnist\ngate: none\n")
    var line = MetricsRecord(epoch: 1, step: 4, split: "test")
    line.error = 0.25
    try run.write("metrics.jsonl", line.line)
    let page = try ParsedXML(try run.page())
    #expect(page.text.contains("single model, data set mnist"))
    #expect(Set(try run.figures().keys) == ["error.svg"])
  }

  @Test(arguments: [
    ("metrics.jsonl", "{\"epoch\":1,\"step\":1,\"split\":\"train\"}\n{\"epoch\":\n", 2),
    ("metrics.jsonl", "{\"epoch\":1,\"step\":1}\n", 1),
    ("metrics.jsonl", "{\"epoch\":1,\"step\":1,\"split\":\"train\",\"error\":\"x\"}\n", 1),
    ("metrics.jsonl", "{\"epoch\":1,\"step\":1,\"split\":\"train\",\"expert_share\":[2]}\n", 1),
    ("metrics.jsonl", "{\"epoch\":1,\"step\":1,\"split\":\"train\",\"expert_share\":[-1]}\n", 1),
    ("metrics.jsonl", "{\"epoch\":9223372036854775807,\"step\":1,\"split\":\"train\"}\n", 1),
    ("expert_class.csv", "expert,class_0\n0,-3\n", 2),
    ("expert_class.csv", "expert,class_0,class_1\n0,3,4\n1,3\n", 3),
    ("expert_class.csv", "hello\n", 1),
    ("expert_class_soft.csv", "expert,class_0\n0,nan\n", 2),
    ("expert_class_correct.csv", "expert,class_0\n0,1.5\n", 2),
    ("confusion.csv", "expert,class_0\n0,1\n", 1),
    ("confusion.csv", "true,predicted_0\n0,-1\n", 2),
    ("status.json", "{\n\"state\": }", 2),
    ("run.json", "[\n\n,]", 3),
  ])
  func damageIsNamedWithItsLine(name: String, text: String, line: Int) throws {
    let run = try FakeRun()
    try run.write("config.yaml", FakeRun.configuration)
    try run.write(name, text)
    let failure = try #require(throws: Failure.self) { try run.page() }
    #expect(failure.code == .badData)
    #expect(failure.message.contains("/\(name):\(line):"), "\(failure.message)")
    #expect(!failure.message.contains("\n"))
    #expect(!FileManager.default.fileExists(atPath: run.path + "/report.html"))
  }

  @Test(arguments: [
    ("status.json", "{\"state\":\"asleep\"}", "'state'"),
    ("run.json", "{}", "list"),
    ("run.json", "[{\"hosts\":[1]}]", "'[0].hosts[0]'"),
    ("summary.json", "{\"account\":{}}", "'account'"),
    ("summary.json", "{\"timing\":{\"phases\":[{\"phase\":\"x\"}]}}", "'timing.phases[0]'"),
    (
      "summary.json",
      "{\"account\":{\"rows\":1,\"experts\":[],\"gate_forward_flops\":4611686018427387904,\"gate_backward_flops\":4611686018427387904}}",
      "'account.gate_backward_flops'"
    ),
  ])
  func wrongContentIsNamedWithItsPlace(name: String, text: String, place: String) throws {
    let run = try FakeRun()
    try run.write("config.yaml", FakeRun.configuration)
    try run.write(name, text)
    let failure = try #require(throws: Failure.self) { try run.page() }
    #expect(failure.code == .badData)
    #expect(failure.message.contains("/\(name):") && failure.message.contains(place), "\(failure.message)")
  }

  @Test func tablesOfDifferentRunsAreRefused() throws {
    let run = try FakeRun()
    try run.fill()
    try run.write("expert_class_soft.csv", "expert,class_0\n0,1\n")
    #expect(throws: Failure.self) { try run.page() }
  }

  @Test func whatIsNoRunIsNotFound() throws {
    let run = try FakeRun()
    let empty = try #require(throws: Failure.self) { try run.page() }
    #expect(empty.code == .notFound && empty.message.contains("config.yaml"))
    let missing = try #require(throws: Failure.self) {
      try Report.write(runs: [run.path + "/none"], to: run.path + "/x.html", figures: nil)
    }
    #expect(missing.code == .notFound)
  }

  @Test func aWrongConfigurationIsBadDataWithItsLine() throws {
    let run = try FakeRun()
    try run.write("config.yaml", "dataset: idx\nexprts: 3\n")
    let failure = try #require(throws: Failure.self) { try run.page() }
    #expect(failure.code == .badData)
    #expect(failure.message.contains("config.yaml:2:1"))
  }

  // MARK: - Files that are there

  @Test func onlyAReportIsReplaced() throws {
    let run = try FakeRun()
    try run.fill()
    try run.write("report.html", "my notes")
    let failure = try #require(throws: Failure.self) { try run.page() }
    #expect(failure.code == .cannotCreate)
    #expect(try run.read("report.html") == "my notes")
    try Report.write(runs: [run.path], to: run.path + "/report.html", figures: nil, force: true)
    let page = try run.read("report.html")
    #expect(page != "my notes")
    #expect(try run.page() == page)
  }

  // MARK: - Several runs

  @Test func runsStandSideBySide() throws {
    let (first, second) = (try FakeRun(), try FakeRun())
    try first.fill()
    try second.fill(configuration: "dataset: idx\nexperts: 3\ngate: softmax\nseed: 8\n")
    let output = first.parent + "/report.html"
    try Report.write(runs: [first.path + "/", second.path], to: output, figures: first.parent + "/figures")
    let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: output)), as: UTF8.self)
    let page = try ParsedXML(text)
    #expect(page.named("article").map { $0.attributes["id"] } == ["run-1", "run-2"])
    // Both are called run, so the paths tell them apart.
    #expect(page.named("a").map(\.text) == [first.path, second.path])
    let cells = page.named("td").map(\.text)
    #expect(cells.contains("original MoE, top-1") && cells.contains("original MoE"))
    let ids = page.elements.compactMap { $0.attributes["id"] }
    #expect(Set(ids).count == ids.count)
    let files = try FileManager.default.contentsOfDirectory(atPath: first.parent + "/figures")
    #expect(files.contains("comparison-error.svg") && files.contains("run-2-usage.svg"))
    // The order of the runs is the user's.
    try Report.write(runs: [second.path, first.path], to: output, figures: nil)
    let turned = String(decoding: try Data(contentsOf: URL(fileURLWithPath: output)), as: UTF8.self)
    #expect(try ParsedXML(turned).named("a").map(\.text) == [second.path, first.path])
  }

  @Test func theDefaultPageLiesInTheRun() {
    #expect(Report.defaultOutput(for: ["runs/a"]) == "runs/a/report.html")
    #expect(Report.defaultFigures(for: ["runs/a"]) == "runs/a/figures")
    #expect(Report.defaultOutput(for: ["a", "b"]) == "report.html")
    #expect(Report.defaultFigures(for: ["a", "b"]) == nil)
  }
}
