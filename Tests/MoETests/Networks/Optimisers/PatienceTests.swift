import Files
import Networks
import Records
import Testing
import Training

struct PatienceTests {
  @Test func onlyASmallerErrorIsBetter() {
    var best: BestEpoch?
    for (epoch, error) in [(1, 0.5), (2, 0.5), (3, 0.25), (4, 0.3), (5, 0.25)] {
      best = .best(of: best, epoch: epoch, error: error)
    }
    #expect(best == BestEpoch(epoch: 3, error: 0.25))
    #expect((3...7).map { best?.isOver(patience: 3, epoch: $0) } == [false, false, false, true, true])
  }

  /// Without a learning rate nothing gets better than after the first epoch.
  static let idle: [(key: String, text: String)] = [
    ("learning-rate", "0"), ("epochs", "9"), ("patience", "3"),
  ]

  @Test(arguments: [1, 3])
  func aRunOutOfPatienceIsFinished(ranks: Int) throws {
    let run = TrialRun()
    let summary = try run.train(ranks, Self.idle)
    #expect(summary.state == .finished && summary.state.exitCode == .finished)
    #expect(summary.status.epoch == 4)
    let errors = try run.validationErrors()
    #expect(errors.count == 4 && Set(errors).count == 1)
    let words = try #require(summary.status.reason)
    #expect(words.hasPrefix("no smaller validation error in 3 epochs; the best, 0."))
    #expect(words.hasSuffix("was that of epoch 1"))
    #expect(summary.metrics.contains { $0.split == "test" })
    #expect(try BestCheckpoint(of: run.path).name.epochs == 4, "the only one that was kept")
  }

  /// A stop in the middle of the count, on other ranks, and a resume of what is over already.
  @Test func theCountGoesOnAfterAResume() throws {
    let whole = TrialRun()
    _ = try whole.train(1, Self.idle)
    let halves = TrialRun()
    _ = try halves.train(2, Self.idle + [("max-steps", "8")])
    #expect(try halves.file().metadata["best_epoch"] == "1")
    let more = [(key: "max-steps", text: "1000")]
    let second = try halves.train(3, more, resume: true)
    #expect(second.status.epoch == 4 && second.status.stepsExecuted == 4)
    #expect(try halves.checkpoint() == whole.checkpoint())
    let third = try halves.train(2, more, resume: true)
    #expect(third.status.stepsExecuted == 0 && third.state == .finished)
    #expect(third.status.reason == second.status.reason)
    #expect(try halves.checkpoint() == whole.checkpoint())
    // More patience, and the run goes on.
    #expect(try halves.train(1, more + [("patience", "4")], resume: true).status.epoch == 5)
  }

  /// The epoch at which a run that does learn must stop follows from its validation errors.
  @Test func theErrorsDecide() throws {
    let run = TrialRun()
    let patience = 2
    let summary = try run.train(
      2, [("learning-rate", "0.02"), ("epochs", "40"), ("patience", "\(patience)")])
    let errors = try run.validationErrors()
    func isLate(_ epoch: Int) -> Bool {
      let first = (errors.prefix(epoch).firstIndex(of: errors.prefix(epoch).min() ?? 0) ?? 0) + 1
      return epoch - first >= patience
    }
    let stop = (1...errors.count).first(where: isLate)
    #expect(summary.status.epoch == stop && summary.status.epoch < 40)
  }

  /// When a run stops is no part of what was trained.
  @Test func patienceChangesNoByte() throws {
    let patient = TrialRun()
    _ = try patient.train(1, [("epochs", "2"), ("patience", "50")])
    let plain = TrialRun()
    _ = try plain.train(1, [("epochs", "2")])
    #expect(try patient.checkpoint() == plain.checkpoint())
  }

  @Test func needsValidation() {
    for fraction in ["0", "0.0001"] {
      let run = TrialRun()
      #expect {
        _ = try run.train(1, Self.idle + [("validation-fraction", fraction)])
      } throws: { error in
        "\(error)".contains("patience") && "\(error)".contains("validation-fraction \(fraction)")
      }
    }
  }
}
