import DataSets
import Dist
import Files
import Foundation
import Studies
import TestSupport
import Testing
import Training

/// A study in a temporary directory, over a small built-in data set.
private final class Bench {
  let temporary = TemporaryDirectory()
  var directory: StudyDirectory { StudyDirectory(temporary.path + "/study") }
  /// How many times a run may ask whether to stop before it is told so; nil: it never is.
  var stopAfter: Int?
  var samples = 400

  private func data(_ configuration: Configuration) -> DataSet {
    DataSet(
      name: "synthetic", classes: SyntheticTask.classes, classNames: (0..<10).map { "\($0)" },
      train: SyntheticTask.images(0..<samples), test: SyntheticTask.images(samples..<samples + 100),
      mean: [0.2],
      standardDeviation: [0.2], fingerprints: ["train-images": "of \(samples)"], location: "", notes: [])
  }

  func runner(_ study: Study) throws -> StudyRunner {
    try StudyRunner(
      study, in: directory,
      host: StudyHost(
        load: { self.data($0) }, command: ["moe-dist", "sweep"], versions: ["moe-dist": "test"],
        buildFlags: "",
        environment: [:], lanes: 1,
        stopRequested: {
          guard let left = self.stopAfter else { return false }
          self.stopAfter = left - 1
          return left <= 0
        }, progress: { _ in }))
  }

  @discardableResult
  func run(_ study: Study) throws -> StudyResults {
    let runner = try runner(study)
    #expect(try runner.work())
    let results = try runner.results()
    try results.write(to: directory)
    return results
  }

  /// How many times a run was started.
  func sessions(_ id: String) throws -> Int {
    let bytes = try Data(contentsOf: URL(fileURLWithPath: directory.path + "/runs/\(id)/run.json"))
    guard case .array(let list) = try JSONValue(parsing: Array(bytes)) else { return 0 }
    return list.count
  }

  func checkpoints(_ id: String) -> [String] {
    let names = try? FileManager.default.contentsOfDirectory(atPath: directory.path + "/runs/\(id)")
    return (names ?? []).filter { $0.hasSuffix(".safetensors") }.sorted()
  }

  func bytes(_ file: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: directory.path + "/" + file))
  }
}

private func settings(_ pairs: KeyValuePairs<String, String>) -> [StudySetting] {
  pairs.map { StudySetting($0.key, $0.value) }
}

/// The smallest networks, six steps an epoch.
private let small = settings([
  "dataset": "synthetic", "model": "mnist", "experts": "3", "batch-size": "60", "epochs": "2",
  "learning-rate": "0.003",
])

private func sweep(seeds: Int = 2, _ more: [StudySetting] = []) throws -> Study {
  try Study.sweep(base: small + more, grids: ["gate=none,softmax"], seeds: seeds)
}

/// An attentive method with a grid, and two methods that start from the chosen setting.
private func distillation() -> Study {
  var teacher = StudyMethod(
    name: "attentive", label: "attentive", group: "g", settings: settings(["gate": "attentive"]))
  teacher.candidates = [settings(["importance": "0.1"]), settings(["importance": "1"])]
  var pupil = StudyMethod(
    name: "distilled", label: "distilled", group: "g",
    settings: settings(["gate": "softmax", "distill-loss": "labels"]))
  pupil.source = .init(method: "attentive", key: "distill-from")
  pupil.isEvaluatedConditionally = true
  var frozen = StudyMethod(
    name: "frozen", label: "frozen", group: "g",
    settings: settings(["gate": "softmax", "init-only": "experts", "freeze": "experts"]))
  frozen.source = .init(method: "distilled", key: "init-from")
  var study = Study(
    name: "chain", title: "Chain", methods: [teacher, pupil, frozen], seeds: 2, common: small)
  study.claims = [StudyClaim("g", "free", .error, smaller: "distilled", larger: "attentive", margin: 0.5)]
  return study
}

struct StudyRunnerTests {
  @Test func aSecondCallTrainsNothing() throws {
    let bench = Bench()
    let first = try bench.run(sweep())
    let csv = try bench.bytes("results.csv")
    try bench.run(sweep())
    #expect(try bench.bytes("results.csv") == csv)
    for run in try sweep().runs([:]) {
      #expect(try bench.sessions(run.id) == 1, "\(run.id)")
      #expect(bench.checkpoints(run.id).count == 1, "\(run.id)")
    }
    #expect(first.rows.map(\.figures.count) == [2, 2])
    // More seeds add to what is there.
    try bench.run(sweep(seeds: 3))
    #expect(try bench.sessions("gate-none.seed-0") == 1 && bench.sessions("gate-none.seed-2") == 1)
  }

  @Test func figuresAreThoseOfTheRunsAndTheBestIsByValidation() throws {
    let bench = Bench()
    let results = try bench.run(sweep())
    var validation: [Double] = []
    for (row, method) in zip(results.rows, ["gate-none", "gate-softmax"]) {
      var errors: [Double] = []
      var held: [Double] = []
      for seed in 0..<2 {
        let text = String(
          decoding: try bench.bytes("runs/\(method).seed-\(seed)/metrics.jsonl"), as: UTF8.self)
        let lines = text.split(separator: "\n").map { try? JSONValue(parsing: Array($0.utf8)) }
        let test = try #require(lines.last { $0?["split"]?.stringValue == "test" } ?? nil)
        errors.append(try #require(test["error"]?.numberValue))
        held.append(
          try #require(
            (lines.last { $0?["split"]?.stringValue == "validation" } ?? nil)?["error"]?.numberValue))
      }
      #expect(row.spread(.error)?.mean == (errors[0] + errors[1]) / 2)
      validation.append((held[0] + held[1]) / 2)
      #expect(row.validationError?.mean == validation.last)
    }
    #expect(results.best?.name == (validation[1] < validation[0] ? "gate-softmax" : "gate-none"))
    #expect(results.rows[0].spread(.usageEntropy) == nil && results.rows[1].spread(.usageEntropy) != nil)
  }

  /// Training losses are of the last epoch, whatever is logged of steps, and belong to runs that have ended.
  @Test func trainingLossIsThatOfTheLastEpoch() throws {
    let bench = Bench()
    let id = "a.seed-0"
    let metrics = bench.directory.run(id) + "/metrics.jsonl"
    let lines = [
      #"{"split":"train","cross_entropy":2.5,"error":0.9}"#, #"{"split":"step","cross_entropy":1.5}"#,
      #"{"split":"train","cross_entropy":0.75,"error":0.3}"#, #"{"split":"validation","cross_entropy":1.25}"#,
    ]
    bench.temporary.write("study/runs/\(id)/metrics.jsonl", Array(lines.joined(separator: "\n").utf8))
    #expect(try bench.directory.figures(of: id) == nil)
    let test = #"{"split":"test","cross_entropy":0.875,"error":0.25,"usage_entropy":2}"#
    try Data((lines + [test, ""]).joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: metrics))
    #expect(
      try bench.directory.figures(of: id) == [
        .error: 0.25, .loss: 0.875, .trainingLoss: 0.75, .usageEntropy: 2,
      ])
  }

  @Test func trainingLossIsAColumnWhereAStudyHasIt() throws {
    let bench = Bench()
    var study = try sweep()
    let without = try bench.run(study)
    #expect(!without.markdown.contains("training loss") && !without.csv.contains("training_cross_entropy"))
    study.metrics = StudyMetric.allCases
    study.isSweep = false
    study.claims = [StudyClaim("Sweep", "lower", .trainingLoss, smaller: "gate-softmax", larger: "gate-none")]
    let with = try bench.run(study)
    #expect(with.markdown.contains("| test loss | training loss |"))
    #expect(StudyMetric.trainingLoss.publishedHeading == "published loss")
    let losses = try with.rows.map { try #require($0.spread(.trainingLoss)).mean }
    #expect(losses.allSatisfy { $0 > 0 } && losses[0] != with.rows[0].spread(.loss)?.mean)
    let difference = try #require(with.verdicts.first?.comparison).difference
    #expect(abs(difference - (losses[1] - losses[0])) < 1e-12)
  }

  @Test(arguments: [3, 9, 15, 20])
  func aStoppedStudyGoesOnWhereItWas(_ asks: Int) throws {
    let whole = Bench()
    try whole.run(sweep())
    let bench = Bench()
    bench.stopAfter = asks
    #expect(try !bench.runner(sweep()).work())
    bench.stopAfter = nil
    try bench.run(sweep())
    #expect(try bench.bytes("results.csv") == whole.bytes("results.csv"))
    for run in try sweep().runs([:]) {
      let names = bench.checkpoints(run.id)
      #expect(names.count == 1 && names == whole.checkpoints(run.id))
      for name in names {
        #expect(try bench.bytes("runs/\(run.id)/\(name)") == whole.bytes("runs/\(run.id)/\(name)"))
      }
    }
  }

  @Test func whatChangedIsNamedAndNotTrainedOver() throws {
    let bench = Bench()
    try bench.run(sweep())
    let changed = thrownFailure {
      _ = try bench.runner(sweep(seeds: 2, settings(["learning-rate": "0.004"])))
    }
    #expect(changed?.code == .usage)
    #expect(changed?.message.contains("learning-rate 0.003, not 0.004") == true, "\(changed?.message ?? "")")
    bench.samples = 300
    let data = thrownFailure { _ = try bench.runner(sweep()) }
    #expect(data?.code == .usage && data?.message.contains("SHA-256") == true)
  }

  @Test func aRunThatDivergesIsRecordedAndTheStudyGoesOn() throws {
    let bench = Bench()
    let study = try Study.sweep(base: small, grids: ["learning-rate=0.003,1e38"], seeds: 2)
    let results = try bench.run(study)
    #expect(results.rows[0].figures.count == 2 && results.rows[0].failures.isEmpty)
    #expect(results.rows[1].figures.isEmpty && results.rows[1].failures.count == 2)
    #expect(results.best?.name == "learning-rate-0.003" && results.failure == nil)
    #expect(results.markdown.contains("## Runs that did not finish"))
    try bench.run(study)
    #expect(try bench.sessions("learning-rate-1e38.seed-0") == 1)
  }

  @Test func whatSeesTheLabelsIsMarkedAndNeverTheBest() throws {
    let bench = Bench()
    let classes = settings(["expert-classes": "0,1,2,3/4,5,6/7,8,9"])
    let results = try bench.run(
      Study.sweep(base: small + classes, grids: ["gate=softmax,peeking,classes"], seeds: 2))
    #expect(results.rows.map(\.isOracle) == [false, true, true])
    let errors = try results.rows.map { try #require($0.validationError).mean }
    #expect(errors[2] < errors[0] && results.best?.name == "gate-softmax")
    #expect(results.markdown.contains("gate=peeking (sees labels)"))
    #expect(results.markdown.contains("What \"sees labels\" chooses its experts by the label"))
    #expect(!results.markdown.contains("gate=softmax (sees labels)"))
    let csv = results.csv.split(separator: "\n")
    #expect(csv.map { $0.hasPrefix("sees labels,") } == [false, false, true, true])
    let alone = try bench.run(Study.sweep(base: small, grids: ["gate=peeking"], seeds: 2))
    #expect(alone.best == nil)
  }

  @Test func runsStartFromTheChosenSettingsOfOthers() throws {
    let bench = Bench()
    let results = try bench.run(distillation())
    let teacher = try #require(results.rows.first { $0.name == "attentive" })
    let weight = try #require(teacher.settings.first).text
    let means = teacher.candidates.map { $0.errors.reduce(0, +) / 2 }
    #expect(weight == (means[1] < means[0] ? "1" : "0.1"))
    for seed in 0..<2 {
      for method in ["distilled", "frozen"] {
        #expect(try bench.sessions("\(method).importance-\(weight).seed-\(seed)") == 1)
      }
    }
    #expect(
      results.rows.map(\.name) == ["attentive", "distilled", "distilled-conditional", "frozen"])
    #expect(results.rows.allSatisfy { $0.figures.count == 2 })
    #expect(results.verdicts.count == 1 && results.verdicts[0].comparison?.test == .paired)
    // The same again from what was kept.
    let csv = try bench.bytes("results.csv")
    try bench.run(distillation())
    #expect(try bench.bytes("results.csv") == csv)
  }

  @Test func whatStartsFromADivergedRunIsNotTrained() throws {
    let bench = Bench()
    var study = distillation()
    study.methods[0].candidates = [settings(["learning-rate": "1e38"])]
    let results = try bench.run(study)
    #expect(results.rows.map(\.failures.count) == [2, 2, 2, 2])
    #expect(results.rows[3].failures[0].contains("diverged"))
    #expect(results.verdicts.map(\.word) == [.notTested])
    // Four rows, one of them a conditional evaluation, with two seeds each.
    #expect(results.failure?.code == .diverged)
    #expect(results.failure?.message.hasPrefix("none of the 8 runs finished; the first is attentive") == true)
  }

  @Test func outputFilesCanBeRead() throws {
    let bench = Bench()
    let results = try bench.run(distillation())
    let json = try JSONValue(parsing: Array(bench.bytes("results.json")))
    guard case .array(let rows)? = json["rows"] else {
      Issue.record("no rows")
      return
    }
    #expect(rows.count == results.rows.count)
    #expect(rows[1]["mean"]?["error"]?.numberValue == results.rows[1].spread(.error)?.mean)
    let csv = String(decoding: try bench.bytes("results.csv"), as: UTF8.self).split(separator: "\n")
    let columns = csv[0].split(separator: ",").count
    #expect(csv.count == 1 + rows.count)
    for line in csv {
      #expect(line.split(separator: ",", omittingEmptySubsequences: false).count == columns)
    }
    let markdown = String(decoding: try bench.bytes("results.md"), as: UTF8.self)
    var cells: Int?
    for line in markdown.split(separator: "\n", omittingEmptySubsequences: false) {
      guard line.hasPrefix("|") else {
        cells = nil
        continue
      }
      let count = line.split(separator: "|", omittingEmptySubsequences: false).count
      #expect(cells == nil || cells == count, "\(line)")
      cells = count
    }
  }

  @Test func ranksMayTrainARunTogether() throws {
    let (alone, together) = (Bench(), Bench())
    // Of four candidates one is chosen, from which the last method starts: all ranks must know which.
    var study = try sweep(seeds: 1)
    study.methods[1].candidates = [settings(["importance": "0"]), settings(["importance": "0.5"])]
    let results = try alone.run(study)
    nonisolated(unsafe) let bench = together
    let same = study
    let complete = try LocalGroup.run(ranks: 3) { comm in try bench.runner(same).work(over: comm) }
    #expect(complete == [true, true, true])
    #expect(try together.runner(study).results().csv == results.csv)
    for run in study.runs([:]).map(\.id) {
      let name = try #require(alone.checkpoints(run).first)
      #expect(together.checkpoints(run) == [name])
      #expect(try together.bytes("runs/\(run)/\(name)") == alone.bytes("runs/\(run)/\(name)"))
      #expect(try together.sessions(run) == 1)
    }
  }

  @Test func aClaimedRunIsLeftToItsOwner() throws {
    let bench = Bench()
    let study = try sweep(seeds: 1)
    let runner = try bench.runner(study)
    try bench.directory.make()
    let held = try #require(try bench.directory.claim("gate-none.seed-0"))
    #expect(try bench.directory.claim("gate-none.seed-0") == nil)
    bench.stopAfter = 18
    #expect(try !runner.work())
    withExtendedLifetime(held) {
      #expect(bench.checkpoints("gate-none.seed-0").isEmpty)
      #expect(bench.checkpoints("gate-softmax.seed-0").count == 1)
    }
  }

  @Test func quickFiguresAreMarkedAndNotCompared() throws {
    let bench = Bench()
    var request = PaperRequest(.mnist)
    request.isQuick = true
    var study = Study.paper(request)
    try study.keep(methods: ["single", "original"])
    study.common =
      study.common.filter { !["dataset", "train-samples", "test-samples"].contains($0.key) } + small
    let results = try bench.run(study)
    #expect(results.markdown.hasPrefix("# QUICK") && !results.markdown.contains("published"))
    let csv = String(decoding: try bench.bytes("results.csv"), as: UTF8.self).split(separator: "\n")
    #expect(csv.dropFirst().allSatisfy { $0.hasPrefix("QUICK,") })
    #expect(results.rows.allSatisfy { $0.isWithinTwo == nil && $0.published == nil })
  }
}
