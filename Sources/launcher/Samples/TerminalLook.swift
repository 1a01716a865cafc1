import Foundation

/// What is on the other side of standard output or standard error, and what it can show.
package struct TerminalLook: Equatable, Sendable {
  package enum Colours: Equatable, Sendable {
    case none
    /// The 256 colours of xterm.
    case palette
    /// 8 bits of red, green and blue.
    case all
  }

  /// Characters of a line.
  package var columns: Int
  package var isTerminal: Bool
  /// Whether it shows blocks; otherwise pictures and bars are made of ASCII.
  package var hasBlocks: Bool
  package var colours: Colours

  package init(columns: Int, isTerminal: Bool, hasBlocks: Bool, colours: Colours) {
    self.columns = columns
    self.isTerminal = isTerminal
    self.hasBlocks = hasBlocks
    self.colours = colours
  }

  /// As the environment says.
  ///
  /// - Parameters:
  ///   - width: of the terminal; nil: what it is goes through a pipe, or is not known.
  package init(width: Int?, isTerminal: Bool, _ environment: [String: String]) {
    columns = max(width ?? environment["COLUMNS"].flatMap { Int($0) } ?? 80, 1)
    self.isTerminal = isTerminal
    let locale =
      ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
    let isUnicode = ["utf-8", "utf8"].contains { locale.lowercased().contains($0) }
    let terminal = environment["TERM"] ?? ""
    hasBlocks = isUnicode && terminal != "dumb"
    guard isTerminal, terminal != "dumb", environment["NO_COLOR"] ?? "" == "" else {
      colours = .none
      return
    }
    switch environment["COLORTERM"] {
    case "truecolor", "24bit": colours = .all
    default: colours = terminal.contains("256color") ? .palette : .none
    }
  }

  /// Of an open file, as it is now; a terminal may be made narrower at any time.
  init(of descriptor: Int32, _ environment: [String: String]) {
    var size = winsize()
    let isKnown = ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
    self.init(
      width: isKnown ? Int(size.ws_col) : nil, isTerminal: isatty(descriptor) == 1, environment)
  }
}
