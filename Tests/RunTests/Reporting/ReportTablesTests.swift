import Files
import Foundation
import Records
import Reporting
import Testing

/// Accuracy by expert and class, confusion, what ranks sent each other, and usage over time: what the page shows is what
/// the files say.
struct ReportTablesTests {
  private func tips(_ figure: String?) throws -> [String] {
    try DrawnShapes(try #require(figure)).shapes.compactMap(\.title)
  }

  @Test func accuracyIsThatOfTheFile() throws {
    let run = try FakeRun()
    try run.fill()
    let page = try ParsedXML(try run.page())
    let tips = try tips(try run.figures()["expert-accuracy.svg"])
    #expect(tips.contains("expert 0, a: 38 of 40 right, 95.0 %"))
    #expect(tips.contains("expert 0, c: 4 of 10 right, 40.0 %"))
    #expect(tips.contains("expert 1, c: 27 of 30 right, 90.0 %"))
    #expect(tips.contains("expert 2, a: no sample"))
    // 78 of 90 and 66 of 70.
    let cells = page.named("td").map(\.text)
    #expect(cells.contains("86.7 %") && cells.contains("94.3 %"))
  }

  @Test func confusionIsThatOfTheFile() throws {
    let run = try FakeRun()
    try run.fill()
    let page = try ParsedXML(try run.page())
    let figure = try DrawnShapes(try #require(try run.figures()["confusion.svg"]))
    let tips = figure.shapes.compactMap(\.title)
    #expect(tips.contains("a taken for itself: 38 of 40 samples, 95.0 %"))
    #expect(tips.contains("d taken for c: 10 of 40 samples, 25.0 %"))
    // Every cell, by formula: the matrix of the file, row by row.
    let matrix = [[38, 2, 0, 0], [3, 36, 1, 0], [0, 5, 31, 4], [2, 0, 10, 28]]
    let cells = figure.shapes.filter { $0.title?.contains(" taken for ") == true }
    #expect(cells.count == 16)
    for (place, cell) in cells.enumerated() {
      let count = matrix[place / 4][place % 4]
      let isRight = place / 4 == place % 4
      let share = isRight ? Double(count) / 40 : Double(count) / 10
      #expect(cell.title?.contains(": \(count) of 40 samples") == true)
      #expect(
        cell.attributes["fill"]
          == ColourScale.colour(share, of: isRight || count == 0 ? .amount : .fault).code)
    }
    #expect(
      page.text.contains(
        "d is recognised least, 70.0 % of it; most often d is taken for c, 10 times."))
  }

  @Test func manyClassesAreSummedOrListed() throws {
    let classes = 24
    let run = try FakeRun()
    try run.fill(classNames: (0..<classes).map { "k\($0)" })
    func heading(_ first: String, _ name: String) -> String {
      first + (0..<classes).map { ",\(name)_\($0)" }.joined() + "\n"
    }
    func line(_ row: Int, _ counts: [Int]) -> String { "\(row)" + counts.map { ",\($0)" }.joined() + "\n" }
    // Of every class 10 samples: 9 right, one taken for the next; of class 5 one right and 9 taken for class 6.
    let rows = (0..<classes).map { label in
      (0..<classes).map { column in
        column == label ? (label == 5 ? 1 : 9) : column == (label + 1) % classes ? (label == 5 ? 9 : 1) : 0
      }
    }
    let wrong = rows.enumerated().reduce(0) { $0 + 10 - $1.element[$1.offset] }
    try run.write("confusion.csv", heading("true", "predicted") + rows.enumerated().map(line).joined())
    let all = [Int](repeating: 10, count: classes)
    let none = [Int](repeating: 0, count: classes)
    for (name, counts) in [("expert_class", all), ("expert_class_correct", all.map { $0 - 1 })] {
      try run.write(
        "\(name).csv", heading("expert", "class") + line(0, counts) + line(1, none) + line(2, none))
    }
    try FileManager.default.removeItem(atPath: run.path + "/expert_class_soft.csv")
    var last = MetricsRecord(epoch: 3, step: 12, split: "test")
    last.error = Double(wrong) / Double(10 * classes)
    last.expertShare = [1, 0, 0]
    try run.write("metrics.jsonl", last.line)
    let listed = try ParsedXML(try run.page())
    #expect(try run.figures()["confusion.svg"] == nil)
    let table = listed.named("td").map(\.text)
    #expect(table.contains("k6") && table.contains("90.0 %"))
    // Pairs of classes are coarse classes: within one, nothing is confused.
    let session = RunSession(
      started: "", command: [], versions: [:], buildFlags: "", hosts: ["n"], placement: [0, 0, 0], levels: [],
      blasKernels: [], dataFingerprints: [:], classNames: (0..<classes).map { "k\($0)" },
      coarseClassNames: (0..<classes / 2).map { "pair \($0)" }, coarseClasses: (0..<classes).map { $0 / 2 },
      environment: [:])
    try run.write("run.json", JSONValue.array([session.json]).text())
    _ = try run.page()
    let figures = try run.figures()
    let tips = try tips(figures["confusion.svg"])
    // Class 4: all ten within pair 2; class 5: one right, nine taken for class 6, which is pair 3.
    #expect(tips.contains("pair 2 taken for itself: 11 of 20 samples, 55.0 %"))
    #expect(tips.contains("pair 2 taken for pair 3: 9 of 20 samples, 45.0 %"))
    #expect(
      try self.tips(figures["expert-accuracy.svg"]).contains("expert 0, pair 0: 18 of 20 right, 90.0 %"))
  }

  @Test func trafficBetweenRanksIsThatOfTheFile() throws {
    let run = try FakeRun()
    try run.fill()
    _ = try run.page()
    let figures = try run.figures()
    let dispatched = try tips(figures["ranks-dispatch.svg"])
    #expect(dispatched.contains { $0.hasPrefix("rank 0 to rank 1: 300 rows, ") })
    #expect(dispatched.contains { $0.hasPrefix("on rank 1, not sent: 250 rows, ") })
    #expect(
      try tips(figures["ranks-combine.svg"]).contains { $0.hasPrefix("rank 1 to rank 0: 250 answers, ") })
    #expect(try #require(figures["ranks-dispatch.svg"]).contains(bytesText(3000)))
  }

  @Test func usageOverTimeIsThatOfTheLines() throws {
    let run = try FakeRun()
    try run.fill()
    var lines = try run.read("metrics.jsonl")
    for step in 1...250 {
      var line = MetricsRecord(epoch: 1, step: step, split: "step")
      line.loss = 1 / Double(step)
      line.expertShare = [Double(step) / 500, 1 - Double(step) / 500, 0]
      lines += line.line
    }
    try run.write("metrics.jsonl", lines)
    _ = try run.page()
    let figures = try run.figures()
    let byEpoch = try tips(figures["usage.svg"])
    #expect(byEpoch.contains("expert 0, epoch 2: 56.3 %") && byEpoch.contains("expert 2, epoch 3: 0.0 %"))
    let bySteps = try tips(figures["usage-by-step.svg"])
    #expect(bySteps.contains("expert 0, step 1: 0.2 %") && bySteps.contains("expert 1, step 250: 50.0 %"))
    #expect(bySteps.count { $0.hasPrefix("expert 0, step") } == 100)
    let loss = try #require(figures["loss-by-step.svg"])
    #expect(loss.contains("batch ends at 0.0040") && loss.contains("validation ends at 0.3333"))
  }

  /// A process that was killed may leave the tables of two evaluations: those that do not fit are left out.
  @Test func tablesOfTwoEvaluationsAreNotMixed() throws {
    let run = try FakeRun()
    try run.fill()
    try run.write(
      "expert_class_correct.csv", "expert,class_0,class_1,class_2,class_3\n0,41,0,0,0\n1,0,0,0,0\n2,0,0,0,0\n"
    )
    try run.write(
      "confusion.csv",
      "true,predicted_0,predicted_1,predicted_2,predicted_3\n0,40,0,0,0\n1,0,40,0,0\n2,0,0,40,0\n3,0,0,0,40\n"
    )
    _ = try run.page()
    let names = Set(try run.figures().keys)
    #expect(names.isDisjoint(with: ["confusion.svg", "expert-accuracy.svg"]))
  }

  @Test(arguments: [
    ("confusion.csv", "true,predicted_0,predicted_1\n0,1,1\n"),
    ("confusion.csv", "true,predicted_0\n0,1\n"),
    ("expert_class_correct.csv", "expert,class_0\n0,1\n"),
    (
      "summary.json",
      "{\"account\":{\"rows\":1,\"experts\":[],\"gate_forward_flops\":0,\"gate_backward_flops\":0,"
        + "\"dense_expert_flops\":0,\"bytes_dispatched\":0,\"bytes_combined\":0,\"bytes_returned\":0,"
        + "\"between_ranks\":{\"rows_dispatched\":[[1,2]],\"bytes_dispatched\":[],\"rows_combined\":[],\"bytes_combined\":[]}}}"
    ),
  ])
  func tablesOfOtherSizesAreRefused(name: String, text: String) throws {
    let run = try FakeRun()
    try run.fill()
    try run.write(name, text)
    let failure = try #require(throws: Failure.self) { try run.page() }
    #expect(failure.code == .badData && failure.message.contains(name))
  }

  /// Twenty runs, one page: small, and made at once.
  @Test func aPageOfTwentyRunsIsSmall() throws {
    let run = try FakeRun()
    try run.fill()
    try fill(run, experts: 5, classes: 10, epochs: 20)
    let paths = (1...20).map { "\(run.parent)/run-\($0)" }
    for path in paths { try FileManager.default.copyItem(atPath: run.path, toPath: path) }
    let output = run.parent + "/page.html"
    let began = ContinuousClock.now
    try Report.write(runs: paths, to: output, figures: nil)
    #expect(ContinuousClock.now - began < .seconds(5))
    let size = try Data(contentsOf: URL(fileURLWithPath: output)).count
    #expect(size < 2_000_000, "\(size) bytes")
    withExtendedLifetime(run) {}
  }

  /// Tables and lines of a run of many epochs.
  private func fill(_ run: FakeRun, experts: Int, classes: Int, epochs: Int) throws {
    func table(_ first: String, _ name: String, _ rows: Int, _ count: (Int, Int) -> String) -> String {
      first + (0..<classes).map { ",\(name)_\($0)" }.joined() + "\n"
        + (0..<rows).map { row in
          "\(row)" + (0..<classes).map { "," + count(row, $0) }.joined() + "\n"
        }.joined()
    }
    try run.write("expert_class.csv", table("expert", "class", experts) { "\(2 + ($0 + $1) % 5)" })
    try run.write("expert_class_correct.csv", table("expert", "class", experts) { "\(($0 + $1) % 3)" })
    try run.write(
      "expert_class_soft.csv", table("expert", "class", experts) { "\(0.123456 + Double($0 * $1 % 5))" })
    try run.write(
      "confusion.csv", table("true", "predicted", classes) { _, _ in "2" })
    let names = (0..<classes).map { "a class of some length \($0)" }
    let session = RunSession(
      started: "", command: [], versions: [:], buildFlags: "", hosts: ["n"],
      placement: (0..<experts).map { _ in 0 }, levels: [], blasKernels: [], dataFingerprints: [:],
      classNames: names, environment: [:])
    try run.write("run.json", JSONValue.array([session.json]).text())
    let lines = (1...epochs).flatMap { epoch in
      (["train", "validation"] + (epoch == epochs ? ["test"] : [])).map { split in
        var line = MetricsRecord(epoch: epoch, step: 10 * epoch, split: split)
        line.loss = 1 / Double(epoch)
        line.mutualInformation = 1
        line.sampleEntropy = 1
        line.usageEntropy = 2
        line.expertShare = (0..<experts).map { _ in 1 / Double(experts) }
        return line.line
      }
    }
    try run.write("metrics.jsonl", lines.joined())
  }
}
