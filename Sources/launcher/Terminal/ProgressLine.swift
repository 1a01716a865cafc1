import Foundation
package import Records
package import Studies

/// The line that shows on a terminal how far a run is, in as many characters as there are.
package struct ProgressLine {
  private let columns: Int
  /// Whether the terminal shows blocks; otherwise bars are made of `#` and `-`.
  private let hasBlocks: Bool

  package init(columns: Int, hasBlocks: Bool) {
    self.columns = max(columns, 1)
    self.hasBlocks = hasBlocks
  }

  /// For standard error as it is now; it may be made narrower at any time.
  static func ofTerminal(_ environment: [String: String]) -> ProgressLine {
    let look = TerminalLook(of: STDERR_FILENO, environment)
    return ProgressLine(columns: look.columns, hasBlocks: look.hasBlocks)
  }

  /// A part of a line.
  package struct Part {
    let text: String
    /// How soon it may be left out: the highest goes first.
    let rank: Int

    package init(_ text: String, rank: Int) {
      self.text = text
      self.rank = rank
    }
  }

  /// What fits, the least important left out first. The last column stays free, where some terminals begin a new line.
  package func text(_ parts: [Part]) -> String {
    var parts = parts
    var text: String { parts.map(\.text).joined(separator: "  ") }
    while text.count >= columns, parts.count > 1 {
      let last = parts.indices.max { parts[$0].rank < parts[$1].rank } ?? 0
      parts.remove(at: last)
    }
    return String(text.prefix(max(columns - 1, 1)))
  }

  package func text(_ progress: StepProgress) -> String {
    var parts = [
      Part("epoch \(progress.epoch)/\(progress.epochs)", rank: 1),
      bar(done: progress.step, of: progress.steps),
      Part("step \(progress.step)/\(progress.steps)", rank: 0),
      Part("loss \(String(format: "%.4f", progress.loss))", rank: 2),
      Part("\(Int(progress.samplesPerSecond)) samples/s", rank: 6),
      Part("\(durationText(progress.secondsRemaining)) left", rank: 3),
    ]
    if 2...64 ~= progress.shares.count { parts.append(Part("experts \(heights(progress.shares))", rank: 4)) }
    return text(parts)
  }

  package func text(_ progress: StudyProgress) -> String {
    text([bar(done: progress.done, of: progress.runs)] + Self.parts(progress))
  }

  /// A study's progress in words.
  static func parts(_ progress: StudyProgress) -> [Part] {
    var parts = [Part("\(progress.done)/\(progress.runs) runs", rank: 0)]
    if progress.diverged > 0 { parts.append(Part("\(progress.diverged) failed", rank: 1)) }
    if let current = progress.current { parts.append(Part(current, rank: 3)) }
    if let seconds = progress.secondsRemaining {
      parts.append(Part("\(durationText(seconds)) left", rank: 2))
    }
    return parts
  }

  private func bar(done: Int, of all: Int) -> Part {
    Part(bar(all > 0 ? Double(done) / Double(all) : 1, length: 16), rank: 5)
  }

  private func bar(_ share: Double, length: Int) -> String {
    let full = min(max(Int((share * Double(length)).rounded(.down)), 0), length)
    return String(repeating: hasBlocks ? "━" : "#", count: full)
      + String(repeating: hasBlocks ? "┄" : "-", count: length - full)
  }

  /// A column per expert: half high where it has an even share, full from twice that.
  private func heights(_ shares: [Double]) -> String {
    let steps = Array(hasBlocks ? "▁▂▃▄▅▆▇█" : "_.:-=+*#")
    return String(
      shares.map { share in
        let load = share * Double(shares.count) / 2
        return steps[min(Int(load * Double(steps.count)), steps.count - 1)]
      })
  }
}
