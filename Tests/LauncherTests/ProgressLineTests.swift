import Records
import Studies
import Testing
import launcher

struct ProgressLineTests {
  private func progress(step: Int = 50, shares: [Double] = [0, 0.5, 0.25, 0.25]) -> StepProgress {
    StepProgress(
      epoch: 3, epochs: 20, step: step, steps: 100, loss: 0.04321, samplesPerSecond: 98_765.4,
      secondsRemaining: 72, shares: shares)
  }

  @Test func aWideTerminalShowsAll() {
    let text = ProgressLine(columns: 200, hasBlocks: false).text(progress())
    // Half of 16; loads of 0, 2, 1 and 1 on 8 steps, half high at 1.
    #expect(
      text
        == "epoch 3/20  ########--------  step 50/100  loss 0.0432  98765 samples/s  1 min 12 s left  experts _#=="
    )
    let blocks = ProgressLine(columns: 200, hasBlocks: true).text(progress(shares: [0, 1]))
    #expect(blocks.hasSuffix("experts ▁█") && blocks.contains("━━━━━━━━┄┄┄┄┄┄┄┄"))
  }

  @Test(arguments: 1...120)
  func noLineIsAsWideAsTheTerminal(columns: Int) {
    let text = ProgressLine(columns: columns, hasBlocks: true).text(progress())
    #expect(text.count <= max(columns - 1, 1))
    if columns > 12 { #expect(text.contains("step 50/100")) }
  }

  @Test func theLeastImportantGoesFirst() {
    let text = ProgressLine(columns: 60, hasBlocks: false).text(progress())
    #expect(text == "epoch 3/20  step 50/100  loss 0.0432  1 min 12 s left")
  }

  @Test func aStudyLooksLikeARun() {
    let progress = StudyProgress(
      runs: 9, done: 2, diverged: 1, current: "attentive.seed-0, epoch 4/10", secondsRemaining: 7_380)
    let text = ProgressLine(columns: 100, hasBlocks: false).text(progress)
    // Two ninths of 16 are 3.6.
    #expect(text == "###-------------  2/9 runs  1 failed  attentive.seed-0, epoch 4/10  2 h 03 min left")
    // The bar goes first, then the run, then the time.
    #expect(
      ProgressLine(columns: 66, hasBlocks: true).text(progress)
        == "2/9 runs  1 failed  attentive.seed-0, epoch 4/10  2 h 03 min left")
    let narrow = ProgressLine(columns: 40, hasBlocks: true)
    #expect(narrow.text(progress) == "2/9 runs  1 failed  2 h 03 min left")
    #expect(ProgressLine(columns: 20, hasBlocks: true).text(progress) == "2/9 runs  1 failed")
  }

  @Test func aRunWithoutStepsIsDone() {
    var none = progress(step: 0)
    none.steps = 0
    #expect(ProgressLine(columns: 200, hasBlocks: false).text(none).contains("################"))
  }
}
