import Files
import Foundation

/// What is launched, where, and with which words; a restart asks again which hosts are there.
struct LaunchPlan {
  /// One start.
  struct Start {
    let line: MpirunLine
    let ranks: Int
  }

  var words: LaunchWords
  /// The run's; nil: the words keep no run.
  var directory: String?
  var ranks: Int
  var minRanks: Int
  var threads: Int
  var hostfile: String?
  /// Of the hostfile.
  var hosts: [LaunchHost]
  var allowsRoot: Bool
  var program: String
  var mpirun: String
  /// Cores of this host, or of a scheduler's job.
  var cores: Int

  /// Whether all ranks are on this host.
  var isHere: Bool { hosts.allSatisfy { HostFacts.isHere($0.name) } && !isScheduled }
  var isScheduled = false

  /// The first start.
  func line() throws(Failure) -> Start {
    let place = hostfile.map { MpirunLine.Place.hostfile($0) } ?? .given
    return start(ranks, on: place, cores: hostfile == nil ? cores : count(hosts), words.first(in: directory))
  }

  /// A restart.
  ///
  /// - Parameter cause: why there has to be one, for the error.
  /// - Throws: ``Failure`` where too few hosts are left.
  func line(after cause: String) throws(Failure) -> Start {
    let again = directory.map { words.again(in: $0) } ?? words.words
    guard let hostfile else { return start(ranks, on: .given, cores: cores, again) }
    let left = hosts.filter { HostFacts.answers($0.name) }
    guard left != hosts else { return start(ranks, on: .hostfile(hostfile), cores: count(hosts), again) }
    let gone = hosts.filter { !left.contains($0) }.map(\.name).joined(separator: ", ")
    guard
      let ranks = RestartDecision.ranks(
        ranks, atLeast: minRanks, threads: threads, cores: count(left), allCores: count(hosts))
    else {
      throw Failure(
        .stalled,
        "\(cause); not restarted: no answer from \(gone), and the other hosts have \(count(left)) cores, too few for "
          + "\(minRanks) ranks (--min-ranks)")
    }
    return start(ranks, on: .hosts(left), cores: count(left), again)
  }

  private func start(_ ranks: Int, on place: MpirunLine.Place, cores: Int, _ words: [String]) -> Start {
    let line = MpirunLine(
      ranks: ranks, threads: threads, cores: cores, place: place, allowsRoot: allowsRoot, program: program,
      words: words)
    return Start(line: line, ranks: ranks)
  }

  private func count(_ hosts: [LaunchHost]) -> Int { hosts.reduce(0) { $0 + ($1.slots ?? cores) } }
}
