import ArgumentParser
import Training

extension MoEDist {
  /// What to say of a word that stands where the name of a command does and is none; nil where there is no such word. The
  /// parser takes it for a value that nobody asked for, and `help` passes over it.
  ///
  /// - Parameter words: of the command line, without the program.
  package static func commandObjection(_ words: [String]) -> String? {
    var words = words[...]
    var commands = configuration.subcommands
    let asksForHelp = words.first == "help"
    if asksForHelp { words.removeFirst() }
    var path = ""
    while let word = words.popFirst(), !word.hasPrefix("-"), asksForHelp || !commands.isEmpty {
      let names = commands.compactMap { $0.configuration.commandName } + (path.isEmpty ? ["help"] : [])
      if let next = commands.first(where: { $0.configuration.commandName == word }) {
        commands = next.configuration.subcommands
        path += word + " "
      } else if path.isEmpty, word == "help" {
        return nil
      } else {
        return "unknown command '\(path)\(word)'"
          + (commands.isEmpty ? "" : hint(word, among: names, behind: path))
      }
    }
    return nil
  }

  /// The name that was meant: the nearest, or the only one that begins so; all of them where none is near.
  private static func hint(_ word: String, among names: [String], behind path: String) -> String {
    let longer = names.filter { word.count > 1 && $0.hasPrefix(word) }
    guard let meant = nearestName(to: word, among: names) ?? (longer.count == 1 ? longer[0] : nil) else {
      return "; known are \(names.joined(separator: ", "))"
    }
    return "; did you mean '\(path)\(meant)'?"
  }
}
