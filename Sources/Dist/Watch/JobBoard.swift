internal import Glibc
internal import Synchronization

/// What a rank says of itself to the ranks of its host.
///
/// Words of memory that processes share: each is whole at any time, and nobody waits for anybody.
struct BoardLine: @unchecked Sendable {
  enum Word: Int {
    /// The process number; 0: the rank has not begun.
    case process
    case rank
    /// An index into the names of the phases.
    case phase
    case step
    /// Exchanges that were entered. All ranks make the same ones, so that fewer means later.
    case exchanges
    /// Whether the rank is inside a call of MPI.
    case isWaiting
    /// When its watchdog was last awake, in milliseconds of the host's monotonic clock.
    case heartbeat
    /// Whether the process ends by itself.
    case hasEnded
    case count
  }

  fileprivate let words: UnsafeMutablePointer<Atomic<Int>>

  subscript(_ word: Word) -> Int {
    get { words[word.rawValue].load(ordering: .relaxed) }
    nonmutating set { words[word.rawValue].store(newValue, ordering: .relaxed) }
  }

  func add(_ number: Int, to word: Word) { words[word.rawValue].wrappingAdd(number, ordering: .relaxed) }

  /// As it is now.
  func reading(index: Int) -> RankReading {
    RankReading(
      index: index, process: Int32(truncatingIfNeeded: self[.process]), rank: self[.rank],
      phase: self[.phase], step: self[.step], exchanges: self[.exchanges], isWaiting: self[.isWaiting] != 0,
      heartbeat: self[.heartbeat], hasEnded: self[.hasEnded] != 0)
  }
}

/// A ``BoardLine`` as it was in a moment.
package struct RankReading: Equatable {
  /// Its place on the board: the number of the rank on its host.
  package var index: Int
  package var process: Int32
  package var rank: Int
  package var phase: Int
  package var step: Int
  package var exchanges: Int
  package var isWaiting: Bool
  package var heartbeat: Int
  package var hasEnded: Bool

  package init(
    index: Int, process: Int32, rank: Int, phase: Int, step: Int, exchanges: Int, isWaiting: Bool,
    heartbeat: Int, hasEnded: Bool
  ) {
    self.index = index
    self.process = process
    self.rank = rank
    self.phase = phase
    self.step = step
    self.exchanges = exchanges
    self.isWaiting = isWaiting
    self.heartbeat = heartbeat
    self.hasEnded = hasEnded
  }
}

/// A line per rank of this host, in memory that they share, and who speaks for all.
///
/// A rank that waits in MPI hears nothing, one that was stopped answers nothing, and one that is gone has said nothing; what
/// they did last is on the board. It is a file in the launcher's own directory for the job, which only this user can enter and
/// which the launcher removes with the job; its name goes as soon as all ranks have it open. Where there is no such directory
/// a rank has a board for itself.
final class JobBoard: @unchecked Sendable {
  /// What is said once on a host, by the rank that comes first.
  enum Announcement: Int {
    /// Why the job ends.
    case ending
    /// That it is late.
    case lateness
  }

  /// Bytes of a line: two lines of the cache, so that ranks do not slow each other.
  private static let lineBytes = 128
  let count: Int
  let own: Int
  /// Whether all ranks of the job are on it.
  let isWhole: Bool
  private let memory: UnsafeMutableRawPointer
  /// The file's name while it has one.
  private let path: String?

  /// - Parameter environment: of a process that a launcher started, or of any other.
  init(_ environment: [String: String]) {
    let place = BoardPlace(environment)
    let shared = place.flatMap { place in
      Self.map(place.path, bytes: (place.count + 1) * Self.lineBytes).map { (place, $0) }
    }
    if let (place, memory) = shared {
      self.memory = memory
      path = place.path
      count = place.count
      own = place.own
    } else {
      memory = UnsafeMutableRawPointer.allocate(byteCount: 2 * Self.lineBytes, alignment: Self.lineBytes)
      memory.initializeMemory(as: UInt8.self, repeating: 0, count: 2 * Self.lineBytes)
      path = nil
      count = 1
      own = 0
    }
    isWhole = count == Ranks.count(in: environment)
    let line = line(own)
    for word in 0..<BoardLine.Word.count.rawValue { line.words[word].store(0, ordering: .relaxed) }
    line[.rank] = Ranks.rank(in: environment)
    line[.heartbeat] = monotonicMilliseconds()
    line[.process] = Int(getpid())
  }

  func line(_ index: Int) -> BoardLine {
    BoardLine(
      words: (memory + (index + 1) * Self.lineBytes).assumingMemoryBound(to: Atomic<Int>.self))
  }

  var ownLine: BoardLine { line(own) }

  var readings: [RankReading] { (0..<count).map { line($0).reading(index: $0) } }

  /// Takes the word for all ranks of this host.
  ///
  /// - Returns: whether it was free.
  func claim(_ announcement: Announcement) -> Bool {
    exchange(announcement, 0, own + 1)
  }

  /// Whether a rank of this host has the word.
  func isClaimed(_ announcement: Announcement) -> Bool {
    memory.assumingMemoryBound(to: Atomic<Int>.self)[announcement.rawValue].load(ordering: .relaxed) != 0
  }

  /// Gives back the word that this rank has.
  func release(_ announcement: Announcement) {
    _ = exchange(announcement, own + 1, 0)
  }

  /// Takes the name away, once all ranks are known to have the file open.
  func forgetName() { if let path, own == 0 { unlink(path) } }

  private func exchange(_ announcement: Announcement, _ expected: Int, _ desired: Int) -> Bool {
    let words = memory.assumingMemoryBound(to: Atomic<Int>.self)
    return words[announcement.rawValue].compareExchange(
      expected: expected, desired: desired, ordering: .relaxed
    ).exchanged
  }

  /// Nil where the file cannot be had whole: a page that the file system has no room for would kill the process.
  private static func map(_ path: String, bytes: Int) -> UnsafeMutableRawPointer? {
    let descriptor = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_uid == geteuid(), status.st_mode & S_IFMT == S_IFREG,
      posix_fallocate(descriptor, 0, bytes) == 0,
      let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), memory != MAP_FAILED
    else { return nil }
    return memory
  }
}

/// Where the ranks of a job on a host find their board.
private struct BoardPlace {
  let path: String
  let count: Int
  let own: Int

  /// Nil where the launcher does not say how many ranks are here, or has no directory for the job.
  init?(_ environment: [String: String]) {
    guard let count = environment["OMPI_COMM_WORLD_LOCAL_SIZE"].flatMap({ Int($0) }),
      let own = environment["OMPI_COMM_WORLD_LOCAL_RANK"].flatMap({ Int($0) }),
      (0..<count).contains(own), count <= 1 << 16,
      let directory = environment["OMPI_MCA_orte_jobfam_session_dir"] ?? environment["PMIX_SERVER_TMPDIR"],
      directory.hasPrefix("/"),
      let job = environment["OMPI_MCA_ess_base_jobid"] ?? environment["PMIX_NAMESPACE"],
      !job.isEmpty, job.utf8.allSatisfy({ $0 != UInt8(ascii: "/") && $0 > 0x20 })
    else { return nil }
    path = "\(directory)/rank-board.\(job)"
    self.count = count
    self.own = own
  }
}

/// Milliseconds on a clock that all processes of a host share and that only moves forward.
func monotonicMilliseconds() -> Int {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}
