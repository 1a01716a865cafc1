import Foundation
package import Records

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
    var size = winsize()
    let isKnown = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
    let columns = isKnown ? Int(size.ws_col) : environment["COLUMNS"].flatMap { Int($0) } ?? 80
    let locale =
      ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
    let isUnicode = ["utf-8", "utf8"].contains { locale.lowercased().contains($0) }
    return ProgressLine(columns: columns, hasBlocks: isUnicode && environment["TERM"] != "dumb")
  }

  /// What fits, the least important left out first. The last column stays free, where some terminals begin a new line.
  package func text(_ progress: StepProgress) -> String {
    // What is left out first has the highest number.
    var parts: [(text: String, rank: Int)] = [
      ("epoch \(progress.epoch)/\(progress.epochs)", 1),
      (bar(progress.steps > 0 ? Double(progress.step) / Double(progress.steps) : 1, length: 16), 5),
      ("step \(progress.step)/\(progress.steps)", 0),
      ("loss \(String(format: "%.4f", progress.loss))", 2),
      ("\(Int(progress.samplesPerSecond)) samples/s", 6),
      ("\(Self.duration(progress.secondsRemaining)) left", 3),
    ]
    if 2...64 ~= progress.shares.count { parts.append(("experts \(heights(progress.shares))", 4)) }
    var text: String { parts.map(\.text).joined(separator: "  ") }
    while text.count >= columns, parts.count > 1 {
      let last = parts.indices.max { parts[$0].rank < parts[$1].rank } ?? 0
      parts.remove(at: last)
    }
    return String(text.prefix(max(columns - 1, 1)))
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

  package static func duration(_ seconds: Double) -> String {
    let whole = Int(seconds.isFinite ? min(seconds, 1e9) : 0)
    if whole < 60 { return "\(whole) s" }
    return whole < 3600 ? "\(whole / 60) min \(whole % 60) s" : "\(whole / 3600) h \(whole % 3600 / 60) min"
  }
}
