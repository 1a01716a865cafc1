import ArgumentParser
import Foundation
import Records

enum ProgressStyle: String, CaseIterable, ExpressibleByArgument {
  /// A line that is drawn again on a terminal, plain lines elsewhere.
  case auto
  /// A line now and then.
  case plain
  case none
}

/// Tells the user on standard error how a run goes.
final class ConsoleObserver: TrainingObserver {
  private let line: DrawnLine
  private let style: ProgressStyle
  private let quiet: Bool
  private var last = Date.distantPast

  init(style: ProgressStyle, quiet: Bool) {
    self.style = style
    self.quiet = quiet
    line = DrawnLine(style)
  }

  var stopRequested: Bool { StopSignals.raised }

  func takeSaveRequest() -> Bool { StopSignals.takeSave() }

  func started(_ plan: RunPlan) { if !quiet { Console.error(plan.startLine) } }

  func progress(_ progress: StepProgress) {
    guard style != .none, Date().timeIntervalSince(last) > (line.isDrawn ? 0.2 : 10) else { return }
    last = Date()
    if line.isDrawn {
      line.draw { $0.text(progress) }
    } else {
      Console.error(
        "epoch \(progress.epoch)/\(progress.epochs)  step \(progress.step)/\(progress.steps)  "
          + "loss \(String(format: "%.4f", progress.loss))  \(Int(progress.samplesPerSecond)) samples/s  "
          + "\(durationText(progress.secondsRemaining)) left")
    }
  }

  func epochEnded(_ records: [MetricsRecord]) {
    guard style != .none else { return }
    line.close()
    for record in records {
      func figure(_ name: String, _ value: Double?) -> String {
        value.map { "  \(name) \(String(format: "%.4f", $0))" } ?? ""
      }
      Console.error(
        "epoch \(record.epoch) \(record.split):" + figure("loss", record.loss) + figure("error", record.error)
          + figure("I(E;Y)", record.mutualInformation) + figure("H_s", record.sampleEntropy)
          + figure("H_u", record.usageEntropy)
          + (record.samplesPerSecond.map { "  \(Int($0)) samples/s" } ?? ""))
    }
  }

  func checkpointWritten(_ path: String) {}

  func advise(_ text: String) { if !quiet { note(text) } }

  func note(_ text: String) {
    line.close()
    Console.error("NOTE: \(text)")
  }
}

/// The line of standard error that is drawn again and again on a terminal, and closed before anything else is said.
final class DrawnLine {
  /// Whether there is one: not where progress goes to a file or is not wanted.
  let isDrawn: Bool
  private var isOpen = false

  init(_ style: ProgressStyle) { isDrawn = style == .auto && isatty(STDERR_FILENO) == 1 }

  func draw(_ text: (ProgressLine) -> String) {
    Console.draw(text(ProgressLine.ofTerminal(ProcessInfo.processInfo.environment)))
    isOpen = true
  }

  func close() {
    if isOpen { Console.error("") }
    isOpen = false
  }
}
