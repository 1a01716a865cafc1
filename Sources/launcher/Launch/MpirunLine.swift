package import Files

/// A host that ranks may be started on.
package struct LaunchHost: Equatable {
  package let name: String
  /// Ranks that it takes, as the hostfile says; nil: as many as it has cores.
  package let slots: Int?

  package init(_ name: String, slots: Int?) {
    self.name = name
    self.slots = slots
  }

  /// The hosts of a hostfile, in its order. A host that stands on several lines has the slots of all of them, one for a line
  /// without a number, as Open MPI counts.
  ///
  /// - Parameter path: of the file, for the error.
  /// - Throws: ``Failure`` for a number of slots that is none, and where there is no host.
  package static func parse(hostfile text: String, path: String) throws(Failure) -> [LaunchHost] {
    var hosts: [LaunchHost] = []
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let content = line.prefix { $0 != "#" }
      // "slots = 4" is allowed as well.
      let words = content.split { $0 == "=" || $0.isWhitespace }.map(String.init)
      guard let name = words.first, !name.hasPrefix("^") else { continue }
      var slots: Int?
      if let key = words.firstIndex(of: "slots") {
        guard key + 1 < words.count, let count = Int(words[key + 1]), (1...1_000_000).contains(count) else {
          throw Failure(.usage, "\(path):\(index + 1): slots is a number from 1; write '\(name) slots=4'")
        }
        slots = count
      }
      if let known = hosts.firstIndex(where: { $0.name == name }) {
        hosts[known] = LaunchHost(name, slots: (hosts[known].slots ?? 1) + (slots ?? 1))
      } else {
        hosts.append(LaunchHost(name, slots: slots))
      }
    }
    guard !hosts.isEmpty else {
      throw Failure(.usage, "\(path) names no host; write a line such as 'node01 slots=4' for each")
    }
    return hosts
  }
}

/// The line that starts ranks: mpirun with its options, and what its environment has besides.
package struct MpirunLine: Equatable {
  /// Where the ranks go.
  package enum Place: Equatable {
    /// This host, or what a scheduler gave.
    case given
    case hostfile(String)
    /// What is left of a hostfile.
    case hosts([LaunchHost])
  }

  /// Names and values, in this order.
  package let settings: [(name: String, value: String)]
  /// What follows `mpirun`.
  package let arguments: [String]

  /// - Parameters:
  ///   - ranks: how many.
  ///   - threads: of every rank.
  ///   - cores: what all hosts have together.
  ///   - allowsRoot: whether mpirun is told to run for root.
  ///   - program: an absolute path, the same on every host.
  ///   - words: what the program is given.
  package init(
    ranks: Int, threads: Int, cores: Int, place: Place, allowsRoot: Bool, program: String, words: [String]
  ) {
    var settings: [(name: String, value: String)] = []
    var arguments = ["-q"]
    switch place {
    case .given: break
    case .hostfile(let path): arguments += ["--hostfile", path]
    case .hosts(let hosts):
      arguments += [
        "--host", hosts.map { "\($0.name):\($0.slots.map(String.init) ?? "*")" }.joined(separator: ","),
      ]
    }
    if ranks * threads > cores {
      // Ranks that wait must give up their core; otherwise a collective is hundreds of times slower.
      arguments += ["--oversubscribe", "--bind-to", "none"]
      settings.append((name: "OMPI_MCA_mpi_yield_when_idle", value: "1"))
    } else if threads > 1 {
      arguments += ["--map-by", "slot:PE=\(threads)"]
    } else {
      arguments += ["--bind-to", "core"]
    }
    if allowsRoot {
      settings += ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"].map { (name: $0, value: "1") }
    }
    self.settings = settings
    self.arguments = arguments + ["-np", String(ranks), program] + words
  }

  package static func == (left: MpirunLine, right: MpirunLine) -> Bool { left.text == right.text }

  /// The line as one would type it into a shell.
  package var text: String {
    (settings.map { "\($0.name)=\($0.value)" } + ["mpirun"] + arguments.map(Self.quoted)).joined(
      separator: " ")
  }

  private static func quoted(_ word: String) -> String {
    let isPlain = word.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
      default: "-_./,:=+@%".utf8.contains(byte)
      }
    }
    return isPlain && !word.isEmpty
      ? word
      : "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }
}
