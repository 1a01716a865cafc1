import Files
import Studies
import TestSupport
import Testing
import Training

private func paper(
  _ table: PaperTable, _ group: PaperGroup? = nil, seeds: Int? = nil, published: Bool = false,
  quick: Bool = false
) -> Study {
  var request = PaperRequest(table)
  request.group = group
  request.seeds = seeds
  request.usesPublishedSetup = published
  request.isQuick = quick
  return Study.paper(request)
}

struct StudyPlanTests {
  /// Main tables: single, and for two gates 1 + 5 values of w_imp + the values of β_s; then two distilled methods.
  @Test func countsOfRuns() {
    #expect(paper(.mnist).expectedRuns([:]).count == 10 * (1 + 2 * (1 + 5 + 2) + 2))
    #expect(paper(.fashionMNIST, seeds: 3).expectedRuns([:]).count == 3 * (1 + 2 * (1 + 5 + 2) + 2))
    #expect(paper(.mnist, published: true).expectedRuns([:]).count == 10 * 9)
    #expect(paper(.cifar100, seeds: 1).expectedRuns([:]).count == 2 * (1 + 2 * (1 + 5 + 3)) + 2)
    #expect(paper(.cifar100, .wide, seeds: 1).expectedRuns([:]).count == 1 + 2 * (1 + 5 + 3) + 2)
    #expect(paper(.cifar100, .small, seeds: 3).expectedRuns([:]).count == 3 * (1 + 2 * 3 + 2))
    #expect(paper(.preliminary).expectedRuns([:]).count == 5 * 3 * 7)
    #expect(paper(.mnist, quick: true).expectedRuns([:]).count == 2 * 9)
  }

  @Test(arguments: PaperTable.allCases)
  func namesAreUniqueAndSourcesComeFirst(_ table: PaperTable) {
    for study in [paper(table), paper(table, published: true), paper(table, quick: true)] {
      var seen = Set<String>()
      for run in study.expectedRuns([:]) {
        if let source = run.source { #expect(seen.contains(source)) }
        #expect(seen.insert(run.id).inserted)
        #expect(!run.id.contains("/") && !run.id.hasPrefix("."))
      }
    }
  }

  @Test func namesAreStable() throws {
    let ids = paper(.mnist).runs(["attentive-importance": 1]).map(\.id)
    for id in [
      "single.seed-0", "original-importance.importance-0.2.seed-3",
      "attentive-similarity.similarity-1e-6.seed-9",
      "distilled-importance.importance-0.4.seed-0",
    ] { #expect(ids.contains(id), "\(id)") }
    // Until the attentive runs with L_s have ended, nobody knows what is to be distilled.
    #expect(!ids.contains { $0.hasPrefix("distilled-similarity") })
    let more = Set(paper(.mnist, seeds: 12).runs([:]).map(\.id))
    #expect(paper(.mnist, seeds: 4).runs([:]).allSatisfy { more.contains($0.id) })
  }

  @Test func settingsOfTheMainTables() throws {
    let runs = paper(.fashionMNIST).expectedRuns([:])
    for run in runs {
      #expect(run.settings.last { $0.key == "weight-decay" }?.text == "0")
      #expect(run.settings.last { $0.key == "seed" }?.text == String(run.replicate))
    }
    let similar = try #require(runs.first { $0.id.hasPrefix("attentive-similarity.similarity-1e-7") })
    #expect(similar.settings.contains(StudySetting("similarity-scaling", "authors")))
    let distilled = try #require(runs.first { $0.method == "distilled-importance" })
    #expect(
      distilled.sourceKey == "distill-from" && distilled.settings.contains(StudySetting("gate", "softmax")))
    #expect(distilled.isEvaluatedConditionally)
    let published = paper(.mnist, published: true).expectedRuns([:])
    #expect(published.allSatisfy { $0.settings.contains(StudySetting("validation-fraction", "0")) })
    #expect(published.contains { $0.id == "original-importance.importance-0.6.seed-0" })
  }

  @Test func settingsOfThePreliminaryExperiment() throws {
    let runs = paper(.preliminary).expectedRuns([:])
    func setting(_ id: String, _ key: String) throws -> String? {
      try #require(runs.first { $0.id == id }).settings.last { $0.key == key }?.text
    }
    #expect(try setting("mnist-pretrained.seed-2", "expert-classes") == "4,7/0,6/3,8/1,2/5,9")
    #expect(try setting("mnist-pretrained.seed-2", "batch-size") == "320")
    #expect(try setting("combined-pretrained.seed-4", "expert-classes") == "0,3/1,4/2,5/6,9/7,11/8,10")
    #expect(try setting("fashion-mnist-3.seed-1", "seed") == "1001")
    #expect(try setting("fashion-mnist-2.seed-1", "seed") == "1")
    #expect(try setting("mnist-4.seed-0", "batch-size") == "64")
    let sources = ["2": "1", "3": "1", "4": "pretrained", "5": "4", "6": "4"]
    for (model, source) in sources.sorted(by: { $0.key < $1.key }) {
      let run = try #require(runs.first { $0.id == "combined-\(model).seed-0" })
      #expect(run.source == "combined-\(source).seed-0" && run.sourceKey == "init-from")
    }
    // Every class of a split has exactly one expert.
    for run in runs {
      guard let lists = run.settings.last(where: { $0.key == "expert-classes" })?.text else { continue }
      let classes = lists.split(separator: "/").flatMap { $0.split(separator: ",").compactMap { Int($0) } }
      #expect(classes.sorted() == Array(0..<(run.method.hasPrefix("combined") ? 12 : 10)))
    }
  }

  /// The published losses are those of training, and so is the loss that the claim is judged by.
  @Test func thePreliminaryExperimentComparesTrainingLosses() {
    let study = paper(.preliminary)
    #expect(study.metrics.contains(.trainingLoss) && study.metrics.contains(.loss))
    #expect(
      study.claims.contains {
        $0.metric == .trainingLoss && $0.smaller == "mnist-4" && $0.larger == "mnist-1"
      })
    #expect(study.claims.allSatisfy { $0.metric != .loss })
    #expect(study.published.allSatisfy { $0.means[.trainingLoss] != nil && $0.means[.loss] == nil })
    for table in PaperTable.allCases where table != .preliminary {
      #expect(!paper(table).metrics.contains(.trainingLoss))
    }
  }

  @Test func methodsCanBeChosenWithWhatTheyStartFrom() throws {
    var study = paper(.mnist)
    try study.keep(methods: ["single", "distilled-importance"])
    #expect(study.methods.map(\.name) == ["single", "attentive-importance", "distilled-importance"])
    let failure = thrownFailure { try study.keep(methods: ["singel"]) }
    #expect(failure?.code == .usage && failure?.message.contains("did you mean 'single'") == true)
  }

  @Test func givenSettingsFixAGrid() throws {
    var study = paper(.mnist, seeds: 1)
    try study.override([StudySetting("importance", "0.5"), StudySetting("epochs", "2")])
    let runs = study.expectedRuns([:])
    #expect(
      runs.filter { $0.method == "original-importance" }.map(\.id) == [
        "original-importance.importance-0.5.seed-0"
      ])
    let single = try #require(runs.first { $0.method == "single" })
    #expect(single.settings.contains(StudySetting("epochs", "2")))
    let plain = try #require(runs.first { $0.method == "original" })
    #expect(!plain.settings.contains { $0.key == "importance" })
    #expect(thrownFailure { try Study.check(overrides: [StudySetting("seed", "3")]) }?.code == .usage)
    #expect(thrownFailure { try Study.check(overrides: [StudySetting("gate", "none")]) }?.code == .usage)
    #expect(thrownFailure { try Study.check(overrides: [StudySetting("epochs", "3")]) } == nil)
  }

  @Test func sweepsCombineTheirGrids() throws {
    let study = try Study.sweep(
      base: [StudySetting("epochs", "1")], grids: ["importance=0,.2,.4", "gate=softmax,attentive"], seeds: 2)
    #expect(study.methods.count == 6)
    #expect(study.runs([:]).map(\.id).contains("importance-.2.gate-attentive.seed-1"))
    for words in ["importance", "importance=", "=1", "imprtance=1", "seed=1,2"] {
      #expect(
        thrownFailure { _ = try Study.sweep(base: [], grids: [words], seeds: 1) }?.code == .usage, "\(words)")
    }
    #expect(
      thrownFailure { _ = try Study.sweep(base: [], grids: ["importance=1", "importance=2"], seeds: 1) }?.code
        == .usage)
    var fixed = study
    #expect(thrownFailure { try fixed.override([StudySetting("gate", "none")]) }?.code == .usage)
    let twice = try Study.sweep(base: [], grids: ["importance=1,1"], seeds: 1)
    #expect(thrownFailure { _ = try twice.configurations() }?.code == .usage)
  }

  @Test func aChoiceNeedsValidationSamples() throws {
    var study = paper(.mnist, seeds: 1)
    try study.override([StudySetting("validation-fraction", "0")])
    let failure = thrownFailure { _ = try study.configurations() }
    #expect(failure?.code == .usage && failure?.message.contains("validation") == true)
  }
}

/// Figures of method.md §5 and §7, which are the paper's.
struct PublishedFiguresTests {
  private func row(_ rows: [PublishedRow], _ method: String) throws -> PublishedRow {
    try #require(rows.first { $0.method == method })
  }

  @Test func meansAndDeviations() throws {
    let single = try row(PublishedFigures.mnist, "single")
    #expect(
      single.means[.error] == Spread(mean: 0.134, deviation: 0.071) && single.means[.usageEntropy] == nil)
    let attentive = try row(PublishedFigures.mnist, "attentive-importance")
    #expect(attentive.means[.mutualInformation] == Spread(mean: 2.21, deviation: 0.10))
    #expect(attentive.means[.sampleEntropy] == Spread(mean: 0.068, deviation: 0.032))
    let distilled = try row(PublishedFigures.fashionMNIST, "distilled-similarity")
    #expect(distilled.means[.error] == Spread(mean: 0.106, deviation: 0.008))
    #expect(distilled.selected[.sampleEntropy] == 0.076 && distilled.selected[.error] == 0.089)
    #expect(try row(PublishedFigures.cifar100, "original-importance").means[.topFiveError]?.mean == 0.197)
    #expect(try row(PublishedFigures.cifar100, "small-attentive-importance").means[.error]?.mean == 0.488)
    #expect(try row(PublishedFigures.preliminary, "combined-4").means[.mutualInformation]?.mean == 2.58)
    #expect(try row(PublishedFigures.preliminary, "mnist-1").means[.trainingLoss]?.mean == 0.13)
  }

  @Test func everyRowBelongsToAMethod() {
    for table in PaperTable.allCases {
      let study = paper(table)
      for row in study.published { #expect(study.method(row.method) != nil, "\(row.method)") }
      let rows = study.methods.flatMap {
        [$0.name] + ($0.isEvaluatedConditionally ? [$0.conditionalName] : [])
      }
      for claim in study.claims {
        #expect(rows.contains(claim.smaller) && rows.contains(claim.larger), "\(claim.text)")
      }
    }
  }

  /// Settings that were written down before the first run (w_imp .6, β_s 1e-5 in the authors' scaling, KL), and runs of
  /// fewer epochs than the published ones, which is said.
  @Test func smallExpertsOfCIFAR() throws {
    var study = paper(.cifar100, .small, seeds: 1)
    try study.override([StudySetting("epochs", "10")])
    let runs = try study.configurations()
    #expect(
      Set(runs.map(\.run.method))
        == Set(
          study.published.map(\.method).filter { $0.hasPrefix("small-") }
            + ["small-distilled-importance", "small-distilled-similarity"]))
    for (run, configuration) in runs {
      #expect(configuration.epochs == 10 && configuration.model == "cifar-small", "\(run.id)")
      #expect(configuration.checkpointEvery == 1 && configuration.validationFraction == 0.1)
      #expect(configuration.keep == 0)
      let weighs = ["small-original-importance", "small-attentive-importance"].contains(run.method)
      #expect(configuration.importance == (weighs ? 0.6 : 0), "\(run.id)")
    }
    #expect(
      study.isComparable && study.differences.count == 1
        && study.differences[0].contains("40 epochs, ours of 10"))
  }

  @Test func figuresOfAWeightBelongToThatWeight() {
    let study = paper(.cifar100)
    func error(_ weight: String) -> Double? {
      study.published("original-similarity", [StudySetting("similarity", weight)])?.means[.error]?.mean
    }
    #expect(error("1e-5") == 0.472 && error("1e-3") == 0.489 && error("0.5") == nil)
  }
}
