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
  private let draws: Bool
  private let style: ProgressStyle
  private let quiet: Bool
  private var last = Date.distantPast
  private var isLineOpen = false

  init(style: ProgressStyle, quiet: Bool) {
    self.style = style
    self.quiet = quiet
    draws = style == .auto && isatty(STDERR_FILENO) == 1
  }

  var stopRequested: Bool { StopSignals.raised }

  func takeSaveRequest() -> Bool { StopSignals.takeSave() }

  func started(_ plan: RunPlan) { if !quiet { Console.error(plan.startLine) } }

  func progress(_ progress: StepProgress) {
    guard style != .none, Date().timeIntervalSince(last) > (draws ? 0.2 : 10) else { return }
    last = Date()
    if draws {
      Console.draw(ProgressLine.ofTerminal(ProcessInfo.processInfo.environment).text(progress))
      isLineOpen = true
    } else {
      Console.error(
        "epoch \(progress.epoch)/\(progress.epochs)  step \(progress.step)/\(progress.steps)  "
          + "loss \(String(format: "%.4f", progress.loss))  \(Int(progress.samplesPerSecond)) samples/s  "
          + "\(ProgressLine.duration(progress.secondsRemaining)) left")
    }
  }

  func epochEnded(_ records: [MetricsRecord]) {
    guard style != .none else { return }
    closeLine()
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
    closeLine()
    Console.error("NOTE: \(text)")
  }

  private func closeLine() {
    if isLineOpen { Console.error("") }
    isLineOpen = false
  }
}
